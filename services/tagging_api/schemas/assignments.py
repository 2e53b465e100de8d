"""Who bears which tag."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Paragraph, Schema
from services.tagging_api.schemas.tags import AssignmentSource, TagNamed

ResidentIds = Annotated[list[UUID], Field(min_length=1, max_length=1000)]
Note = Annotated[Paragraph, Field(max_length=500)]


class TagAssignmentsEnd(Schema):
    tag: TagNamed
    resident_ids: ResidentIds


class TagAssignmentsWrite(Schema):
    """Without any of `valid_from`, `valid_until` and `note`, whoever bears the tag by your word
    keeps it as it is; with one of them, all three become as they are sent.
    """

    tag: TagNamed
    resident_ids: ResidentIds
    valid_from: date | None = Field(default=None, description="The first day; by default at once.")
    valid_until: date | None = Field(
        default=None, description="The first day on which it no longer holds; by default never."
    )
    note: Note | None = Field(default=None, description="Why: what was seen or shown.")

    @property
    def terms_are_given(self) -> bool:
        return bool(self.model_fields_set & {"valid_from", "valid_until", "note"})


class TagAssignmentsMade(Schema):
    """Counts of residents; an id given twice counts once."""

    assigned: int = Field(description="Who did not bear it by your word, or on other terms.")
    already_assigned: int
    not_found: list[UUID] = Field(description="No such resident, or none in your areas.")


class TagAssignmentsEnded(Schema):
    """Counts of residents; an id given twice counts once."""

    removed: int
    not_assigned: int = Field(description="Those who bear it only by a rule included.")
    not_found: list[UUID] = Field(description="No such resident, or none in your areas.")


class TagAssignmentRead(Schema):
    """By the word of one source. A resident may bear a tag by several."""

    resident_id: UUID
    tag: str = Field(examples=["volunteer"])
    source: AssignmentSource
    assigned_by: str | None = Field(
        description="The account, of which you may see the end only; null if it was none.",
        examples=["…60d9f3a7"],
    )
    valid_from: date | None
    valid_until: date | None
    note: str | None = Field(description="Null if there is none, or none for you.")
    created_at: Instant


class TagAssignmentPage(Page):
    items: list[TagAssignmentRead]
