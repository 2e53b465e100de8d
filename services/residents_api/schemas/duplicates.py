"""People who may be registered twice."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Page, Schema
from services.residents_api.schemas.people import ResidentRead


class DuplicateState(StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    MERGED = "merged"


class MergeField(StrEnum):
    """What a merged resident's record may be better in. Sex and birth date go with the identity
    number, if there is one.
    """

    NAME = "name"
    ID_NUMBER = "id_number"
    SEX = "sex"
    BIRTH_DATE = "birth_date"
    NATIONALITY = "nationality"
    POPULATION_TYPE = "population_type"
    ETHNICITY = "ethnicity"
    EDUCATION = "education"
    MARITAL_STATUS = "marital_status"
    POLITICAL_STATUS = "political_status"
    OCCUPATION = "occupation"
    EMPLOYER = "employer"
    REGISTERED_ADDRESS = "registered_address"
    NOTE = "note"


class DuplicateRead(Schema):
    """Two residents who may be one, masked."""

    id: UUID
    state: DuplicateState
    score: int = Field(ge=0, le=100, description="How alike they are, of 100.")
    reasons: list[str] = Field(examples=[["name.same", "birth_date.same", "phone.same"]])
    residents: list[ResidentRead] = Field(
        description="Both; of a merged pair, the one who is left, if you may see them."
    )
    found_at: datetime


class DuplicatePage(Page):
    items: list[DuplicateRead]


class ScanAccepted(Schema):
    villages: int = Field(description="How many villages were put into the queue.")


class MergeCreate(Schema):
    """Which of the two is to be left, and what to take from the other. What the survivor's record
    does not say is taken anyway.
    """

    survivor_id: UUID
    take: list[MergeField] = Field(default=[], max_length=len(MergeField))


class MergeRead(Schema):
    """`survivor_id` has all that was `merged_id`'s, unless it was undone."""

    id: UUID
    survivor_id: UUID
    merged_id: UUID
    merged_by: str
    merged_at: datetime
    undone_at: datetime | None
