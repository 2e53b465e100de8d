"""Rules and audiences."""

from collections.abc import Sequence

revision: str = "tagging_0002"
down_revision: str | None = "dcdf3c1138b9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
