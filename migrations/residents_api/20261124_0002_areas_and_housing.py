"""Areas and housing."""

from collections.abc import Sequence

revision: str = "residents_0002"
down_revision: str | None = "999b8c65dead"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
