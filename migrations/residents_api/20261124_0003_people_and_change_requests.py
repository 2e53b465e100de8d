"""People and change requests."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "residents_0003"
down_revision: str | None = "residents_0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "resident", sa.Column("state", sa.Text(), server_default="active", nullable=False)
    )
    op.add_column("resident", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("resident", sa.Column("state_since", sa.Date(), nullable=True))
    op.add_column("resident", sa.Column("destination", sa.Text(), nullable=True))
    op.add_column("resident", sa.Column("nationality", sa.Text(), nullable=True))
    op.add_column(
        "identity_document", sa.Column("status", sa.Text(), server_default="valid", nullable=False)
    )
    op.add_column("identity_document", sa.Column("issuing_country", sa.Text(), nullable=True))
    op.add_column("occupancy", sa.Column("lease_end_date", sa.Date(), nullable=True))
    op.add_column("occupancy", sa.Column("rejection_reason", sa.Text(), nullable=True))
    op.create_index(
        "occupancy_pending_idx",
        "occupancy",
        ["division_code", "resident_id", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    _create_guardian()
    _create_change_request()


def _create_guardian() -> None:
    op.create_table(
        "guardian",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("guardian_id", sa.Uuid(), nullable=True),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "num_nulls(guardian_id, contact) = 1", name=op.f("guardian_is_somebody_check")
        ),
        sa.PrimaryKeyConstraint("resident_id", "id", name=op.f("guardian_pkey")),
    )
    op.create_index(
        "guardian_resident_id_guardian_id_key",
        "guardian",
        ["resident_id", "guardian_id"],
        unique=True,
        postgresql_where=sa.text("guardian_id IS NOT NULL"),
    )
    op.create_index(
        "guardian_guardian_id_idx",
        "guardian",
        ["guardian_id"],
        postgresql_where=sa.text("guardian_id IS NOT NULL"),
    )


def _create_change_request() -> None:
    op.create_table(
        "change_request",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("resident_version", sa.Integer(), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("applied", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("wanted", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("resident_id", "id", name=op.f("change_request_pkey")),
    )
    op.create_index("change_request_id_idx", "change_request", ["id"])
    op.create_index(
        "change_request_pending_idx",
        "change_request",
        ["id"],
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_table("change_request")
    op.drop_table("guardian")
    op.drop_index("occupancy_pending_idx", "occupancy")
    op.drop_column("occupancy", "rejection_reason")
    op.drop_column("occupancy", "lease_end_date")
    op.drop_column("identity_document", "issuing_country")
    op.drop_column("identity_document", "status")
    op.drop_column("resident", "nationality")
    op.drop_column("resident", "destination")
    op.drop_column("resident", "state_since")
    op.drop_column("resident", "merged_into")
    op.drop_column("resident", "state")
