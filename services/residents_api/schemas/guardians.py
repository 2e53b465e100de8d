"""Who answers for a minor."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Schema
from services.residents_api.schemas.codes import RelationToHead
from services.residents_api.schemas.personal import Name, PhoneText

Relation = Annotated[
    RelationToHead, Field(description="What the guardian is to the minor.", examples=["father"])
]


class GuardianCreate(Schema):
    """A resident or, of somebody who is not registered here, a name and a phone."""

    relation: Relation
    resident_id: UUID | None = None
    name: Name | None = None
    phone: PhoneText | None = None


class GuardianRead(Schema):
    """`name` is null of a resident outside of your areas."""

    id: UUID
    relation: Relation
    resident_id: UUID | None
    name: str | None = Field(description="Masked.", examples=["张*"])
    phone: str | None = Field(
        description="Masked; null of a resident, who has their own.", examples=["138****0000"]
    )


class GuardianList(Schema):
    """All guardians of a minor; there are few, so this list has one page."""

    items: list[GuardianRead]
    next_page_token: str | None


class RevealedGuardian(Schema):
    """Name and phone of a guardian who is not registered; null for a resident."""

    id: UUID
    resident_id: UUID | None
    name: str | None
    phone: str | None
