"""Exports of ledgers."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from services.common.problems import Text
from services.common.schemas import AreaCode, Instant, Line, Page, Schema, fault


class ExportState(StrEnum):
    WAITING_APPROVAL = "waiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class ExportFormat(StrEnum):
    XLSX = "xlsx"
    CSV = "csv"


class ExportColumn(StrEnum):
    """In the order in which they stand in the file."""

    VILLAGE = "village"
    GRID = "grid"
    COMPOUND = "compound"
    BUILDING = "building"
    UNIT = "unit"
    ROOM = "room"
    RELATION_TO_HEAD = "relation_to_head"
    NAME = "name"
    SEX = "sex"
    ETHNICITY = "ethnicity"
    ID_NUMBER = "id_number"
    BIRTH_DATE = "birth_date"
    PHONES = "phones"
    EDUCATION = "education"
    MARITAL_STATUS = "marital_status"
    POLITICAL_STATUS = "political_status"
    OCCUPATION = "occupation"
    EMPLOYER = "employer"
    REGISTERED_ADDRESS = "registered_address"
    POPULATION_TYPE = "population_type"
    TENURE = "tenure"
    START_DATE = "start_date"
    LABELS = "labels"
    NOTE = "note"


def _once_each(columns: list[ExportColumn]) -> list[ExportColumn]:
    if len(set(columns)) < len(columns):
        raise fault("columns.repeated", Text("同一列写了两次", "A column is named twice"))
    return columns


class ExportCreate(Schema):
    area: AreaCode
    template: Literal["ledger"] = "ledger"
    format: ExportFormat
    reason: Annotated[Line, Field(min_length=2, examples=["2026年第四季度入户核对"])]
    columns: (
        Annotated[
            list[ExportColumn], Field(min_length=1, max_length=50), AfterValidator(_once_each)
        ]
        | None
    ) = Field(default=None, description="By default all; they stand in the ledger's own order.")


class ExportRead(Schema):
    """An export. The file is kept for a day."""

    id: UUID
    state: ExportState
    area: str = Field(examples=["510182104006"])
    format: ExportFormat
    columns: list[ExportColumn]
    reason: str
    requester: str = Field(examples=["account:0198c1a4-0000-7000-8000-000000000000"])
    approver: str | None
    residents: int = Field(description="When it was asked for; then how many are in the file.")
    failure: str | None
    created_at: Instant
    finished_at: Instant | None


class ExportPage(Page):
    items: list[ExportRead]
