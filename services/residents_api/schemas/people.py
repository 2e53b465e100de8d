"""Residents: registered, read masked, updated in part, searched, revealed."""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from services.common.problems import Text
from services.common.schemas import AreaCode, Instant, Line, Page, Paragraph, Schema, fault
from services.residents_api.domain.cells import compatible
from services.residents_api.schemas.codes import (
    Education,
    Ethnicity,
    MaritalStatus,
    Nationality,
    PoliticalStatus,
    PopulationType,
    Sex,
)
from services.residents_api.schemas.days import Day
from services.residents_api.schemas.documents import DocumentWanted, RevealedDocument
from services.residents_api.schemas.guardians import RevealedGuardian
from services.residents_api.schemas.personal import Name, NumberText, PhoneText

KeeperCode = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{15})$"),
    Field(examples=["510182104006"]),
]


_APART = str.maketrans("", "", " '’")
_SPELT = re.compile(r"[a-z0-9]+")


def _spelt(text: str) -> str:
    """As names are kept: lower case in one word, with v for ü."""
    spelt = compatible(text).lower().translate(_APART).replace("ü", "v")
    if not _SPELT.fullmatch(spelt):
        raise fault("pinyin.malformed", Text("应为拼音字母", "Letters of pinyin are expected"))
    return spelt


Pinyin = Annotated[
    str,
    StringConstraints(min_length=1, max_length=60),
    AfterValidator(_spelt),
    Field(examples=["zhangs"]),
]


class ResidentState(StrEnum):
    """`merged` and `erased` are no persons any more: one is another's row, the other nobody's."""

    ACTIVE = "active"
    MOVED_OUT = "moved_out"
    DECEASED = "deceased"
    MERGED = "merged"
    ERASED = "erased"


class _Traits(Schema):
    nationality: Nationality | None = None
    ethnicity: Ethnicity | None = None
    education: Education | None = None
    marital_status: MaritalStatus | None = None
    political_status: PoliticalStatus | None = None
    occupation: Line | None = None
    employer: Line | None = None
    registered_address: Line | None = None
    note: Paragraph | None = None


class ResidentCreate(_Traits):
    """A person to register. Needs an identity number or a birth date.

    Sex and birth date follow from the number; given beside it, they must agree with it.
    """

    name: Name
    sex: Sex | None = None
    birth_date: Day | None = None
    id_number: NumberText | None = None
    phones: list[PhoneText] = Field(default=[], max_length=10)
    population_type: PopulationType
    area_code: KeeperCode | None = Field(
        default=None,
        description="Who keeps the record while the person lives nowhere known. By default the "
        "caller's own division or grid.",
    )


class ResidentUpdate(_Traits):
    """What to change: fields that are present. Null empties a field; a name cannot be emptied.

    `phones` replaces all phones. An identity number and what follows from it cannot be emptied.
    """

    name: Name | None = None
    sex: Sex | None = None
    birth_date: Day | None = None
    id_number: NumberText | None = None
    phones: list[PhoneText] | None = Field(default=None, max_length=10)
    population_type: PopulationType | None = None


class ResidentRead(Schema):
    """A resident, masked. Plain values: `POST /v1/residents/{id}/reveal`."""

    id: UUID
    name: str = Field(description="Masked.", examples=["张*"])
    sex: Sex | None
    birth_date: date | None
    id_number: str | None = Field(description="Masked.", examples=["519**************5"])
    phones: list[str] = Field(description="Masked.", examples=[["138****0000"]])
    population_type: PopulationType | None
    nationality: Nationality | None
    ethnicity: Ethnicity | None
    education: Education | None
    marital_status: MaritalStatus | None
    political_status: PoliticalStatus | None
    occupation: str | None
    area_code: str = Field(examples=["510182104006"])
    state: ResidentState
    state_since: date | None = Field(description="The day of death, or of moving out.")
    version: int
    created_at: Instant
    updated_at: Instant


class Death(Schema):
    date: Day = Field(description="When they died.")


class MovingOut(Schema):
    date: Day = Field(description="The first day on which they no longer live here.")
    destination: Line | None = Field(default=None, description="Where to; not shown but revealed.")


class ResidentPage(Page):
    items: list[ResidentRead]


class ResidentBatch(Schema):
    """Residents to read at once; one named twice is read once."""

    resident_ids: list[UUID] = Field(min_length=1, max_length=100)


class ResidentBatchRead(Schema):
    """Residents in the order in which they were named."""

    items: list[ResidentRead]
    not_found: list[UUID] = Field(description="Those outside of the caller's areas among them.")


class ResidentSearch(Schema):
    """Who is looked for. Several criteria must all hold; at least one besides the area is needed.

    `name` finds names that begin with it; `pinyin` finds full pinyin (`zhangsan`) and initials
    (`zs`) that begin with it, in any case and with or without spaces; ü may be typed as v. A
    look-up by number or phone is exact and leaves an audit row.
    """

    name: Name | None = None
    pinyin: Pinyin | None = None
    id_number: NumberText | None = None
    phone: PhoneText | None = None
    identity_document: DocumentWanted | None = None
    area: AreaCode | None = None
    page_size: int | None = Field(default=None, ge=1, le=2**31 - 1)
    page_token: str | None = Field(default=None, max_length=1000)


class RevealedField(StrEnum):
    NAME = "name"
    ID_NUMBER = "id_number"
    PHONES = "phones"
    IDENTITY_DOCUMENTS = "identity_documents"
    GUARDIANS = "guardians"
    EMPLOYER = "employer"
    REGISTERED_ADDRESS = "registered_address"
    NOTE = "note"
    DESTINATION = "destination"


class RevealRequest(Schema):
    """Which plain values, and what for. Both are kept in the audit."""

    purpose: Annotated[Line, Field(min_length=2, examples=["入户走访核实"])]
    fields: list[RevealedField] = Field(min_length=1, max_length=len(RevealedField))


class ResidentRevealed(Schema):
    """The plain values asked for; null for what was not asked for or is not known."""

    id: UUID
    name: str | None
    id_number: str | None
    phones: list[str] | None
    identity_documents: list[RevealedDocument] | None
    guardians: list[RevealedGuardian] | None
    employer: str | None
    registered_address: str | None
    note: str | None
    destination: str | None = Field(description="Where somebody has moved to.")


class ErasureRequest(Schema):
    """Why somebody is erased. It is kept: without the person's name, number or phone."""

    reason: Annotated[Line, Field(min_length=2, examples=["本人书面申请，编号2026-118"])]
