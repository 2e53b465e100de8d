"""Duplicates: pairs to decide on, and merges that can be undone."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "residents_0006"
down_revision: str | None = "residents_0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "duplicate_candidate",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("found_at", instant, nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", instant, nullable=True),
        sa.PrimaryKeyConstraint("resident_id", "other_id", name=op.f("duplicate_candidate_pkey")),
    )
    op.create_index("duplicate_candidate_id_key", "duplicate_candidate", ["id"], unique=True)
    op.create_index("duplicate_candidate_other_id_idx", "duplicate_candidate", ["other_id"])
    op.create_index(
        "duplicate_candidate_state_score_idx", "duplicate_candidate", ["state", "score", "id"]
    )
    op.create_table(
        "resident_merge",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.Column("moved", postgresql.JSONB(), nullable=False),
        sa.Column("merged_by", sa.Text(), nullable=False),
        sa.Column("merged_at", instant, nullable=False),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_at", instant, nullable=True),
        sa.PrimaryKeyConstraint("resident_id", "id", name=op.f("resident_merge_pkey")),
    )
    op.create_index("resident_merge_id_key", "resident_merge", ["id"], unique=True)
    op.create_index("resident_merge_merged_id_idx", "resident_merge", ["merged_id"])
    op.create_table(
        "duplicate_scan",
        sa.Column("singleton", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("singleton", name=op.f("duplicate_scan_singleton_check")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("duplicate_scan_pkey")),
    )
    op.create_table(
        "duplicate_scan_village",
        sa.Column("village_code", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("village_code", name=op.f("duplicate_scan_village_pkey")),
    )
    # Who is born on one day: some thirty people in a city.
    op.create_index("resident_birth_date_idx", "resident", ["birth_date"])


def downgrade() -> None:
    op.drop_index("resident_birth_date_idx", "resident")
    for name in (
        "duplicate_scan_village",
        "duplicate_scan",
        "resident_merge",
        "duplicate_candidate",
    ):
        op.drop_table(name)
