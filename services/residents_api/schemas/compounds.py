"""Residential compounds (小区)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Line, Page, Schema, VillageCode
from services.residents_api.schemas.codes import CommitteeKind, ContactRole, RiskLevel
from services.residents_api.schemas.coordinates import Coordinates, CoordinatesSaid, Wgs84Read
from services.residents_api.schemas.personal import Name, PhoneText

CompoundName = Annotated[Line, Field(max_length=60, examples=["金沙小区"])]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class CompoundSummary(Schema):
    id: UUID
    name: str = Field(examples=["金沙小区"])
    village_code: str = Field(examples=["510182104006"])
    address: str | None = Field(examples=["九尺镇金沙路18号"])
    wgs84: Wgs84Read | None


class CompoundPage(Page):
    items: list[CompoundSummary]


class Contact(Schema):
    """Somebody of the property company or the committee."""

    role: ContactRole
    name: Name
    phone: PhoneText | None = None


class ContactRead(Schema):
    """Masked. Plain values: `POST /v1/compounds/{id}/reveal`."""

    id: UUID
    role: ContactRole
    name: str = Field(examples=["张*"])
    phone: str | None = Field(examples=["138****0000"])


class CompoundRead(CompoundSummary):
    """A compound in full. `households` and `population` are what was declared or, without that,
    what the register counts now and then.
    """

    coordinates: Coordinates | None
    property_company: str | None = Field(examples=["安居物业"])
    committee: CommitteeKind | None
    contacts: list[ContactRead]
    risk_level: RiskLevel | None
    households_declared: int | None
    population_declared: int | None
    households: int | None
    population: int | None
    version: int


class _Facts(Schema):
    address: Line | None = None
    coordinates: CoordinatesSaid | None = None
    property_company: Line | None = None
    committee: CommitteeKind | None = None
    risk_level: RiskLevel | None = None
    households_declared: Count | None = None
    population_declared: Count | None = None


class CompoundCreate(_Facts):
    name: CompoundName
    village_code: VillageCode
    contacts: list[Contact] = Field(default=[], max_length=50)


class CompoundUpdate(_Facts):
    """What to change: fields that are present; null empties one. `contacts` replaces all of them."""

    name: CompoundName | None = None
    contacts: list[Contact] | None = Field(default=None, max_length=50)


class ContactRevealRequest(Schema):
    """What for; it is kept in the audit."""

    purpose: Annotated[Line, Field(min_length=2, examples=["联系物业处理报修"])]


class ContactRevealed(Schema):
    id: UUID
    role: ContactRole
    name: str
    phone: str | None


class ContactsRevealed(Schema):
    """All contacts of a compound; there are few, so this list has one page."""

    items: list[ContactRevealed]
    next_page_token: str | None
