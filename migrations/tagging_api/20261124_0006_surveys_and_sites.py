"""Surveys and site plans: questions and visits; where compounds are, and plans made of it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "tagging_0006"
down_revision: str | None = "tagging_0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CODE = sa.Text(collation="C")


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.add_column("compound", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("compound", sa.Column("longitude", sa.Double(), nullable=True))
    op.add_column("compound", sa.Column("latitude", sa.Double(), nullable=True))
    op.add_column("compound", sa.Column("risk_level", sa.Text(), nullable=True))
    op.add_column("compound", sa.Column("households", sa.Integer(), nullable=True))
    op.add_column("compound", sa.Column("population", sa.Integer(), nullable=True))
    op.create_index("compound_village_code_id_idx", "compound", ["village_code", "id"])
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("questions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("predicted", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tag_if", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("areas", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sensitivity", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("population", sa.Integer(), nullable=True),
        sa.Column("sample", sa.Integer(), nullable=True),
        sa.Column("seed", sa.Integer(), nullable=True),
        sa.Column("predicted_count", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("survey_pkey")),
    )
    op.create_table(
        "survey_area",
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("division_code", _CODE, nullable=False),
        sa.Column("grid_code", _CODE, nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("survey_id", "n", name=op.f("survey_area_pkey")),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("division_code", _CODE, nullable=False),
        sa.Column("grid_code", _CODE, nullable=True),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.Column("assignee", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("visited_by", sa.Text(), nullable=True),
        sa.Column("visited_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("visit_pkey")),
    )
    for column in (
        "survey_id",
        "resident_id",
        "assignee",
        "division_code",
        "grid_code",
        "compound_id",
    ):
        op.create_index(f"visit_{column}_id_idx", "visit", [column, "id"])
    op.create_table(
        "site_plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("area", _CODE, nullable=False),
        sa.Column("division_code", _CODE, nullable=False),
        sa.Column("compound_id", sa.Uuid(), nullable=True),
        sa.Column("sensitivity", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("site_plan_pkey")),
    )


def downgrade() -> None:
    for table in ("site_plan", "visit", "survey_area", "survey"):
        op.drop_table(table)
    op.drop_index("compound_village_code_id_idx", table_name="compound")
    for column in ("population", "households", "risk_level", "latitude", "longitude", "name"):
        op.drop_column("compound", column)
