"""Changes that somebody asks for, and somebody else decides on."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, model_validator

from services.common.problems import Text
from services.common.schemas import Instant, Line, Page, Schema, fault
from services.residents_api.schemas.people import ResidentUpdate

# Masked, as in the resident; of what is not shown there, that it is something.
Masked = str | list[str] | None


class ChangeState(StrEnum):
    """`applied` without a review, `approved` and applied, or `rejected`."""

    PENDING = "pending"
    APPLIED = "applied"
    APPROVED = "approved"
    REJECTED = "rejected"


class ChangeRequestCreate(Schema):
    """What should change, and the version in which it was read."""

    version: int = Field(ge=1, le=2**31 - 1, description="The `version` of what was read.")
    changes: ResidentUpdate
    remark: Line | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "ChangeRequestCreate":
        if not self.changes.model_fields_set:
            raise fault("change_request.empty", Text("没有要修改的内容", "Nothing is to change"))
        return self


class FieldChange(Schema):
    """One field. Values are null once that is decided: the resident's history has them."""

    field: str = Field(examples=["phones"])
    before: Masked = Field(alias="from", examples=[["138****0000"]])
    after: Masked = Field(alias="to", examples=[["139****0000"]])
    waits: bool = Field(description="Whether somebody has to decide on it.")
    applied: bool


class FieldConflict(Schema):
    """A field that somebody else changed since the version that was read."""

    field: str = Field(examples=["phones"])
    current: Masked
    wanted: Masked


class ChangeRequestRead(Schema):
    """A change request, masked. It cannot be approved while there are conflicts."""

    id: UUID
    resident_id: UUID
    state: ChangeState
    requested_by: str
    is_own: bool = Field(description="Whether it is the resident who asks.")
    version: int = Field(description="The resident's version in which it was read.")
    changes: list[FieldChange]
    conflicts: list[FieldConflict]
    remark: str | None
    reason: str | None = Field(description="Why it was rejected, or what was said on approving it.")
    decided_by: str | None
    created_at: Instant
    decided_at: Instant | None


class ChangeRequestPage(Page):
    items: list[ChangeRequestRead]


class Approval(Schema):
    reason: Line | None = None


class ChangeReveal(Schema):
    """What the plain values are wanted for; it is kept in the audit."""

    purpose: Annotated[Line, Field(min_length=2, examples=["核对证件"])]


class ChangeRevealed(Schema):
    """Plain values by field, of a request that is not decided."""

    id: UUID
    changes: dict[str, Any] = Field(examples=[{"phones": ["13900000000"]}])
