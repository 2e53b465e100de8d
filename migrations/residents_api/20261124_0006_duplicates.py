"""Duplicates."""

from collections.abc import Sequence

revision: str = "residents_0006"
down_revision: str | None = "residents_0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
