"""The bitmap index: residents by number, and the names of areas to break counts down by."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "tagging_0003"
down_revision: str | None = "tagging_0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # A migration that waits for a lock holds up every query behind it.
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.create_index("resident_number_key", "resident", ["number"], unique=True)
    op.create_table(
        "area_name",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("area_name_pkey")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("area_name")
    op.drop_index("resident_number_key", table_name="resident")
