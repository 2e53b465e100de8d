"""Surveys and site plans."""

from collections.abc import Sequence

revision: str = "tagging_0006"
down_revision: str | None = "tagging_0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
