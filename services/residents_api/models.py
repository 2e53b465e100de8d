"""The tables of the register.

Every large table has `resident_id` (or its own id) first in its primary key, and a value that must
be unique in the city lives in a table keyed by that value; no foreign key joins tables of different
keys. So the same schema distributes by those columns.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common import database, idempotency, outbox
from services.common.database import Code

metadata = database.metadata()
outbox.tables(metadata)
idempotency.table(metadata)


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = database.COLUMN_TYPES


class Division(Base):
    """A public statistics division: province, city, county, town or village."""

    __tablename__ = "division"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(Code, index=True)


class Grid(Base):
    """A grid (网格): 12-digit village code and a serial of 3."""

    __tablename__ = "grid"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    village_code: Mapped[str] = mapped_column(Code, index=True)


class Compound(Base):
    """A residential compound (小区)."""

    __tablename__ = "compound"
    __table_args__ = (sa.UniqueConstraint("village_code", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    name: Mapped[str]


class Dwelling(Base):
    """A place where people live. It carries its three areas: village, grid and compound."""

    __tablename__ = "dwelling"
    __table_args__ = (
        sa.Index("dwelling_division_code_id_idx", "division_code", "id"),
        sa.Index("dwelling_compound_id_id_idx", "compound_id", "id"),
        sa.Index("dwelling_grid_code_id_idx", "grid_code", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    building: Mapped[str | None]
    unit: Mapped[str | None]
    room: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class DwellingAddress(Base):
    """The address as a key, unique in the city: village, compound, building, unit and room."""

    __tablename__ = "dwelling_address"

    key: Mapped[str] = mapped_column(Code, primary_key=True)
    dwelling_id: Mapped[UUID]


class Resident(Base):
    """A person. `area_code` is the division or grid that keeps the record of one who lives nowhere
    known, `keeper_compound_id` the compound, if it was its worker who registered them.
    """

    __tablename__ = "resident"
    __table_args__ = (
        sa.Index("resident_name_idx", "name"),
        sa.Index("resident_name_pinyin_idx", "name_pinyin"),
        sa.Index("resident_name_initials_idx", "name_initials"),
        sa.Index("resident_area_code_id_idx", "area_code", "id"),
        sa.Index(
            "resident_keeper_compound_id_idx",
            "keeper_compound_id",
            "id",
            postgresql_where=sa.text("keeper_compound_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    area_code: Mapped[str] = mapped_column(Code)
    keeper_compound_id: Mapped[UUID | None]
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
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())

    def __repr__(self) -> str:
        return f"Resident({self.id})"


class IdentityDocument(Base):
    """An identity number, encrypted, under the keyed hash by which it is found."""

    __tablename__ = "identity_document"

    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(server_default="resident_id_card")
    number: Mapped[bytes]


class Phone(Base):
    """A phone number, encrypted. `ordinal` keeps the order in which they were said."""

    __tablename__ = "phone"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    blind_index: Mapped[bytes] = mapped_column(primary_key=True, index=True)
    ordinal: Mapped[int] = mapped_column(sa.SmallInteger)
    number: Mapped[bytes]


class Occupancy(Base):
    """Who lives where (人房关系). It repeats the dwelling's areas, by which it is found.

    `end_date` is the first day on which the person no longer lives there.
    """

    __tablename__ = "occupancy"
    __table_args__ = (
        sa.Index("occupancy_id_idx", "id"),
        sa.Index("occupancy_dwelling_id_idx", "dwelling_id"),
        sa.Index("occupancy_division_code_resident_id_idx", "division_code", "resident_id"),
        sa.Index("occupancy_compound_id_resident_id_idx", "compound_id", "resident_id"),
        sa.Index("occupancy_grid_code_resident_id_idx", "grid_code", "resident_id"),
        sa.Index(
            "occupancy_current_key",
            "resident_id",
            "dwelling_id",
            unique=True,
            postgresql_where=sa.text("end_date IS NULL"),
        ),
        sa.CheckConstraint("end_date >= start_date", name="ends_after_start"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    dwelling_id: Mapped[UUID]
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    tenure: Mapped[str | None]
    relation_to_head: Mapped[str | None]
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]
    state: Mapped[str] = mapped_column(server_default="approved")


class ResidentLabel(Base):
    """A label (标签) that a ledger gave a person. What it means is the tagging service's affair."""

    __tablename__ = "resident_label"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)


class LedgerStatement(Base):
    """What one source last said of a person, as a keyed hash per field (8 bytes each).

    A value that has not changed at its source never overwrites a newer edit.
    """

    __tablename__ = "ledger_statement"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    said: Mapped[bytes]


class AccessRecord(Base):
    """Somebody read plain values of a person, or tried to."""

    __tablename__ = "access_record"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    act: Mapped[str]
    purpose: Mapped[str]
    fields: Mapped[list[str]]
    outcome: Mapped[str]
    request_id: Mapped[str]


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
    codes: Mapped[list[str]]
    masked: Mapped[dict[str, Any] | None]
