"""Campaigns in depth."""

from collections.abc import Sequence

revision: str = "tagging_0004"
down_revision: str | None = "tagging_0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
