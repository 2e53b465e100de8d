"""Citizen reports: reports with replies and photos, the areas they lie in, and the feed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "a8e87f250b2b"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.create_table(
        "feed_cursor",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("snapshot_start", sa.Text(), nullable=True),
        sa.Column("snapshot_after", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("feed_cursor_pkey")),
    )
    op.create_table(
        "feed_head",
        sa.Column("singleton", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("purged", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("singleton", name=op.f("feed_head_singleton_check")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("feed_head_pkey")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("idempotency_key_pkey")),
    )
    op.create_index(
        "idempotency_key_created_at_idx", "idempotency_key", ["created_at"], unique=False
    )
    op.create_table(
        "known_area",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("village_code", sa.Text(collation="C"), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("known_area_pkey")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column(
            "data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
    )
    op.create_index("outbox_position_key", "outbox", ["position"], unique=True)
    op.create_index(
        "outbox_unnumbered_idx",
        "outbox",
        ["id"],
        unique=False,
        postgresql_where=sa.text("position IS NULL"),
    )
    op.create_table(
        "photo_upload",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("object_keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("photo_upload_pkey")),
    )
    op.create_index(
        op.f("photo_upload_created_at_idx"), "photo_upload", ["created_at"], unique=False
    )
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area", sa.Text(collation="C"), nullable=False),
        sa.Column("division_code", sa.Text(collation="C"), nullable=False),
        sa.Column("grid_code", sa.Text(collation="C"), nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("longitude", sa.Double[float](), nullable=True),
        sa.Column("latitude", sa.Double[float](), nullable=True),
        sa.Column("coordinate_system", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "num_nulls(longitude, latitude, coordinate_system) IN (0, 3)",
            name=op.f("report_point_is_whole_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("report_pkey")),
    )
    op.create_index(
        "report_compound_id_created_at_id_idx",
        "report",
        ["compound_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("report_created_at_id_idx", "report", ["created_at", "id"], unique=False)
    op.create_index(
        "report_division_code_created_at_id_idx",
        "report",
        ["division_code", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "report_grid_code_created_at_id_idx",
        "report",
        ["grid_code", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "report_reporter_created_at_id_idx",
        "report",
        ["reporter", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "photo",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name=op.f("photo_report_id_fkey")),
        sa.PrimaryKeyConstraint("report_id", "n", name=op.f("photo_pkey")),
    )
    op.create_table(
        "reply",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("author_role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name=op.f("reply_report_id_fkey")),
        sa.PrimaryKeyConstraint("report_id", "id", name=op.f("reply_pkey")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("reply")
    op.drop_table("photo")
    op.drop_index("report_reporter_created_at_id_idx", table_name="report")
    op.drop_index("report_grid_code_created_at_id_idx", table_name="report")
    op.drop_index("report_division_code_created_at_id_idx", table_name="report")
    op.drop_index("report_created_at_id_idx", table_name="report")
    op.drop_index("report_compound_id_created_at_id_idx", table_name="report")
    op.drop_table("report")
    op.drop_index(op.f("photo_upload_created_at_idx"), table_name="photo_upload")
    op.drop_table("photo_upload")
    op.drop_index(
        "outbox_unnumbered_idx", table_name="outbox", postgresql_where=sa.text("position IS NULL")
    )
    op.drop_index("outbox_position_key", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("known_area")
    op.drop_index("idempotency_key_created_at_idx", table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_table("feed_head")
    op.drop_table("feed_cursor")
