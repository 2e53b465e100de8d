"""Ledgers: jobs, rows on their way, and what each source last said."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base

# The values a ledger can state of a person, in the order of their hashes in `said`.
STATED_FIELDS = (
    "sex",
    "birth_date",
    "population_type",
    "ethnicity",
    "education",
    "marital_status",
    "political_status",
    "occupation",
    "employer",
    "registered_address",
    "note",
)
# After them: the phones, and where and how the person lives.
STATED = (*STATED_FIELDS, "phones", "occupancy")


class LedgerStatement(Base):
    """What one source last said of a person, as a keyed hash per field (8 bytes each).

    A value that has not changed at its source never overwrites a newer edit.
    """

    __tablename__ = "ledger_statement"
    __table_args__ = (sa.Index("ledger_statement_source_idx", "source"),)

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    said: Mapped[bytes]


class LedgerStaging(Base):
    """Accepted rows of an import on their way into the register.

    Unlogged: after a crash of the server it is empty, and the import starts again from its file.
    `person_key` is the same for all rows of a person in the file; `home_ordinal` puts all of them
    into the batch of the first. Phones are `<blind index>:<sealed>` in hex.
    """

    __tablename__ = "ledger_staging"
    __table_args__ = (
        sa.Index("ledger_staging_import_id_home_ordinal_idx", "import_id", "home_ordinal"),
        {"prefixes": ["UNLOGGED"]},
    )

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    home_ordinal: Mapped[int]
    sheet_number: Mapped[int] = mapped_column(sa.SmallInteger)
    row: Mapped[int]
    person_key: Mapped[bytes]
    weak_key: Mapped[bytes]
    blind_index: Mapped[bytes | None]
    number: Mapped[bytes | None]
    dwelling_key: Mapped[str] = mapped_column(Code)
    compound: Mapped[str | None]
    building: Mapped[str | None]
    unit: Mapped[str | None]
    room: Mapped[str | None]
    grid_code: Mapped[str | None] = mapped_column(Code)
    name: Mapped[str] = mapped_column(Code)
    name_pinyin: Mapped[str] = mapped_column(Code)
    name_initials: Mapped[str] = mapped_column(Code)
    sex: Mapped[str | None]
    birth_date: Mapped[date | None]
    population_type: Mapped[str | None]
    ethnicity: Mapped[str | None]
    education: Mapped[str | None]
    marital_status: Mapped[str | None]
    political_status: Mapped[str | None]
    occupation: Mapped[str | None]
    employer: Mapped[str | None]
    registered_address: Mapped[str | None]
    note: Mapped[str | None]
    tenure: Mapped[str | None]
    relation_to_head: Mapped[str | None]
    start_date: Mapped[date | None]
    phones: Mapped[list[str]]
    labels: Mapped[list[str]]
    said: Mapped[bytes]
    # Of `ledger_source`, without the version.
    entry: Mapped[bytes]


class LedgerSource(Base):
    """What one source said in its last ledger, row by row: see `service.ledger.known_rows`.

    It holds for an import of the same areas only, which decide who lives elsewhere.
    """

    __tablename__ = "ledger_source"

    source: Mapped[str] = mapped_column(primary_key=True)
    importer_areas: Mapped[list[str]]
    # What `today` was.
    day: Mapped[date]
    entries: Mapped[bytes]


class LedgerImport(Base):
    """An import job. Whoever holds `lease_until` works on it; a dead worker's lease runs out."""

    __tablename__ = "ledger_import"
    __table_args__ = (
        sa.Index("ledger_import_state_idx", "state", "created_at"),
        sa.Index("ledger_import_village_code_idx", "village_code", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="queued")
    village_code: Mapped[str] = mapped_column(Code)
    dry_run: Mapped[bool]
    importer: Mapped[str]
    importer_areas: Mapped[list[str]]
    file_key: Mapped[str]
    # The village's mapping as it was: whoever reads the file again reads the same.
    columns: Mapped[dict[str, Any] | None]
    rows_total: Mapped[int | None]
    rows_accepted: Mapped[int] = mapped_column(server_default="0")
    rows_rejected: Mapped[int] = mapped_column(server_default="0")
    residents_created: Mapped[int] = mapped_column(server_default="0")
    residents_updated: Mapped[int] = mapped_column(server_default="0")
    residents_unchanged: Mapped[int] = mapped_column(server_default="0")
    dwellings_created: Mapped[int] = mapped_column(server_default="0")
    occupancies_created: Mapped[int] = mapped_column(server_default="0")
    position: Mapped[str | None]
    failure: Mapped[str | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=sa.false())
    # How far it is, as `shequ import` shows it: `reading` or `merging`, and how many rows.
    phase: Mapped[str | None]
    rows_done: Mapped[int] = mapped_column(server_default="0")
    # Whether its rows say what they came to: those of older imports do not.
    tells_effects: Mapped[bool] = mapped_column(server_default=sa.true())
    # Accepted rows that the source had said before, word for word, and their entries while it runs.
    rows_known: Mapped[int] = mapped_column(server_default="0")
    known: Mapped[bytes | None] = mapped_column(deferred=True)
    # Null until the whole file is staged; then the ordinal up to which batches are applied.
    applied_to: Mapped[int | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    finished_at: Mapped[datetime | None]


class LedgerRow(Base):
    """What became of one row of a ledger. Nothing personal: a masked value at most."""

    __tablename__ = "ledger_row"

    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    sheet_number: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    sheet: Mapped[str]
    outcome: Mapped[str]
    # Of an accepted row `changed` or `unchanged`; null for `created` once it is merged, which most
    # rows of a large ledger are: writing it would cost one update more of each.
    effect: Mapped[str | None]
    # {field: [from, to]} of the person; `***` for personal values.
    changes: Mapped[dict[str, Any] | None]
    codes: Mapped[list[str]]
    masked: Mapped[dict[str, Any] | None]


class LedgerMapping(Base):
    """What the columns of one village's ledgers mean, as somebody there said: {heading: field}."""

    __tablename__ = "ledger_mapping"

    village_code: Mapped[str] = mapped_column(Code, primary_key=True)
    columns: Mapped[dict[str, Any]]
    updated_by: Mapped[str]
    updated_at: Mapped[datetime]
