"""Who read plain values of whom."""

from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Schema


class AccessRead(Schema):
    """Somebody read plain values, or tried to."""

    id: UUID
    at: Instant
    actor: str = Field(examples=["account:0198c1a4-0000-7000-8000-000000000000"])
    act: str = Field(examples=["reveal"])
    purpose: str
    fields: list[str]
    outcome: str = Field(examples=["granted"])


class AccessPage(Page):
    items: list[AccessRead]


class AccessOfAnybodyRead(AccessRead):
    """`resident_id` is null for a look-up that found nobody; of a compound's contact, it is theirs."""

    resident_id: UUID | None


class AccessOfAnybodyPage(Page):
    items: list[AccessOfAnybodyRead]
