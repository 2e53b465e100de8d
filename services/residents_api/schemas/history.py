"""What was before, and who changed it."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Schema

Value = str | int | float | bool | None


class HistoryOp(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class HistoryRead(Schema):
    """One field that changed, or a row that came or went.

    A resident's history holds that of their documents, phones and occupancies as well; `entity` says
    of which, `row_id` of which one. Personal values are masked as in the present row; those that are
    not shown at all there are `***`.
    """

    at: Instant
    actor: str = Field(
        description="Who changed it.", examples=["account:0198c1a4-0000-7000-8000-000000000000"]
    )
    source: str = Field(
        description="By what way: `api`, or `import:` or `succession:` and the id of that.",
        examples=["api"],
    )
    entity: str = Field(examples=["resident"])
    row_id: UUID | None = Field(description="Of an occupancy; null where there is only one row.")
    op: HistoryOp
    field: str | None = Field(
        description="Null for a row created: its values are in the changes since, and the present.",
        examples=["education"],
    )
    before: Value = Field(alias="from", examples=["high_school"])
    after: Value = Field(alias="to", examples=["bachelor"])


class HistoryPage(Page):
    items: list[HistoryRead]
