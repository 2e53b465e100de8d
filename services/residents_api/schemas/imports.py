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


class RowEffect(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class ImportRead(Schema):
    """An import. Residents are counted as distinct persons of all accepted rows.

    Of one that was cancelled or failed only the rows count that were merged before, and those
    that were rejected; the rest is missing between both and `rows_total`.
    """

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
    failure_detail: str | None = Field(
        default=None,
        description="The same as a sentence, in the language of `Accept-Language`.",
        examples=["没有找到表头"],
    )


class ImportPhase(StrEnum):
    QUEUED = "queued"
    READING = "reading"
    MERGING = "merging"
    ENDED = "ended"


class ImportProgress(Schema):
    """How far an import is. The last one of a stream has the phase `ended`."""

    phase: ImportPhase
    rows_done: int = Field(description="Of this phase.")
    rows_total: int | None = Field(description="Null until the file is read.")
    job: ImportRead


class ImportPage(Page):
    items: list[ImportRead]


class FieldChange(Schema):
    """Codes as they are; `***` stands for a personal value, and null for none."""

    field: str = Field(examples=["education"])
    before: str | None = Field(alias="from", examples=["senior_secondary"])
    after: str | None = Field(alias="to", examples=["undergraduate"])


class ImportRowRead(Schema):
    sheet: str = Field(examples=["金沙社区"])
    row: int = Field(
        description="As a spreadsheet counts it, also of a CSV: a record is one row, "
        "however many lines its cells have.",
        examples=[16],
    )
    outcome: RowOutcome
    effect: RowEffect | None = Field(
        description="What came of the row's person: of a dry run, what would come of them. Null of a "
        "rejected row, and of one that is not merged yet."
    )
    changes: list[FieldChange] = Field(
        description="What is new of a person who was known. What was added to several of a kind "
        "(phones, labels, a dwelling) says only that."
    )
    codes: list[str] = Field(examples=[["id_number.check_digit"]])
    masked: dict[str, str] | None = Field(
        description="What a warning is about, masked.", examples=[{"phone": "12******"}]
    )


class ImportRowPage(Page):
    items: list[ImportRowRead]
