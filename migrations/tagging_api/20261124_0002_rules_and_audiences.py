"""Rules and audiences: what rules ask about homes and labels, and audiences with a name."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "tagging_0002"
down_revision: str | None = "dcdf3c1138b9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CODE = sa.Text(collation="C")


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.add_column(
        "resident", sa.Column("state", sa.Text(), server_default="active", nullable=False)
    )
    op.add_column("resident", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("resident", sa.Column("keeper_division_code", _CODE, nullable=True))
    op.add_column("resident", sa.Column("keeper_grid_code", _CODE, nullable=True))
    op.add_column("resident", sa.Column("keeper_compound_id", sa.Uuid(), nullable=True))
    op.add_column("resident_place", sa.Column("dwelling_id", sa.Uuid(), nullable=True))
    op.add_column("resident_place", sa.Column("lease_end_date", sa.Date(), nullable=True))
    op.add_column("tag_assignment", sa.Column("valid_from", sa.Date(), nullable=True))
    op.add_column("tag_assignment", sa.Column("valid_until", sa.Date(), nullable=True))
    op.create_index(
        "resident_place_dwelling_id_resident_id_idx",
        "resident_place",
        ["dwelling_id", "resident_id"],
        unique=False,
    )
    op.create_table(
        "audience",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("areas", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("sensitivity", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("uses", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("members", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("audience_pkey")),
    )
    op.create_table(
        "audience_area",
        sa.Column("audience_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("division_code", _CODE, nullable=False),
        sa.Column("grid_code", _CODE, nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("audience_id", "n", name=op.f("audience_area_pkey")),
    )
    op.create_table(
        "audience_member",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("audience_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("resident_id", "audience_id", name=op.f("audience_member_pkey")),
    )
    op.create_index(
        "audience_member_audience_id_resident_id_idx",
        "audience_member",
        ["audience_id", "resident_id"],
        unique=False,
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("audience_member")
    op.drop_table("audience_area")
    op.drop_table("audience")
    op.drop_index("resident_place_dwelling_id_resident_id_idx", table_name="resident_place")
    op.drop_column("tag_assignment", "valid_until")
    op.drop_column("tag_assignment", "valid_from")
    op.drop_column("resident_place", "lease_end_date")
    op.drop_column("resident_place", "dwelling_id")
    op.drop_column("resident", "keeper_compound_id")
    op.drop_column("resident", "keeper_grid_code")
    op.drop_column("resident", "keeper_division_code")
    op.drop_column("resident", "merged_into")
    op.drop_column("resident", "state")
