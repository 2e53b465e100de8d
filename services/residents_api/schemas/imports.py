"""Imports of ledgers."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Page, Schema


class ImportState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RowOutcome(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ImportRead(Schema):
    """An import. Residents are counted as distinct persons of all accepted rows."""

    id: UUID
    state: ImportState
    village_code: str = Field(examples=["510182104006"])
    dry_run: bool = Field(description="Everything is checked and counted, nothing is kept.")
    rows_total: int | None = Field(description="Null until the file is read.")
    rows_accepted: int
    rows_rejected: int
    residents_created: int
    residents_updated: int
    residents_unchanged: int
    dwellings_created: int
    occupancies_created: int
    position: str | None = Field(description="Pass it as `min_position` to a count.")
    failure: str | None = Field(
        description="Why it failed, as a code.", examples=["ledger.no_header"]
    )


class ImportPage(Page):
    items: list[ImportRead]


class ImportRowRead(Schema):
    sheet: str = Field(examples=["金沙社区"])
    row: int = Field(description="As a person counts it in the file.", examples=[16])
    outcome: RowOutcome
    codes: list[str] = Field(examples=[["id_number.check_digit"]])
    masked: dict[str, str] | None = Field(
        description="What a warning is about, masked.", examples=[{"phone": "12******"}]
    )


class ImportRowPage(Page):
    items: list[ImportRowRead]
