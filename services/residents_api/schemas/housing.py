"""Who lives where."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Line, Page, Schema
from services.residents_api.schemas.codes import RelationToHead, Tenure
from services.residents_api.schemas.days import Day


class OccupancyState(StrEnum):
    """`pending` waits for a review; `ended` is derived from the end date."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ENDED = "ended"


class OccupancyCreate(Schema):
    """Somebody moves in."""

    resident_id: UUID
    dwelling_id: UUID
    tenure: Tenure
    relation_to_head: RelationToHead
    start_date: Day
    lease_end_date: Day | None = Field(
        default=None, description="When the lease runs out; nobody leaves by that alone."
    )


class OccupancyUpdate(Schema):
    """What to change: fields that are present. Only a lease's end can be emptied."""

    tenure: Tenure | None = None
    relation_to_head: RelationToHead | None = None
    lease_end_date: Day | None = None


class Rejection(Schema):
    """Why something is not taken over."""

    reason: Line


class OccupancyEnd(Schema):
    """Somebody moves out. `end_date` is the first day on which they no longer live there."""

    end_date: Day


class OccupancyRead(Schema):
    id: UUID
    resident_id: UUID
    dwelling_id: UUID
    tenure: Tenure | None
    relation_to_head: RelationToHead | None
    start_date: date | None
    end_date: date | None
    lease_end_date: date | None
    state: OccupancyState
    rejection_reason: str | None


class OccupancyPage(Page):
    items: list[OccupancyRead]
