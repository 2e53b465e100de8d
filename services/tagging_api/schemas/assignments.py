"""Who bears which tag."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Schema
from services.tagging_api.schemas.tags import AssignmentSource, TagNamed

ResidentIds = Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class TagAssignmentsWrite(Schema):
    tag: TagNamed
    resident_ids: ResidentIds


class TagAssignmentsMade(Schema):
    """Counts of residents; an id given twice counts once."""

    assigned: int
    already_assigned: int
    not_found: list[UUID] = Field(description="No such resident, or none in your areas.")


class TagAssignmentsEnded(Schema):
    """Counts of residents; an id given twice counts once."""

    removed: int
    not_assigned: int
    not_found: list[UUID] = Field(description="No such resident, or none in your areas.")


class TagAssignmentRead(Schema):
    resident_id: UUID
    tag: str = Field(examples=["volunteer"])
    source: AssignmentSource
    created_at: Instant


class TagAssignmentPage(Page):
    items: list[TagAssignmentRead]
