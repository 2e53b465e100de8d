"""What the register's feed said: what rules ask and nothing else, no name, number or phone."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class Resident(Base):
    """What rules may ask about a person. `number` is dense and never given twice.

    A row stays for ever. Of whom the register has forgotten, erased or merged into another it keeps
    id, number and `state`, and nothing else. The keeper is the area whose workers look after
    somebody, who may live nowhere at present.
    """

    __tablename__ = "resident"
    __table_args__ = (
        sa.Index("resident_birth_date_idx", "birth_date"),
        sa.Index("resident_number_key", "number", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(sa.Identity(always=True))
    version: Mapped[int] = mapped_column(sa.BigInteger)
    generation: Mapped[int]
    sex: Mapped[str | None]
    birth_date: Mapped[date | None]
    population_type: Mapped[str | None]
    ethnicity: Mapped[str | None]
    education: Mapped[str | None]
    marital_status: Mapped[str | None]
    political_status: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    merged_into: Mapped[UUID | None]
    keeper_division_code: Mapped[str | None] = mapped_column(Code)
    keeper_grid_code: Mapped[str | None] = mapped_column(Code)
    keeper_compound_id: Mapped[UUID | None]


class ResidentPlace(Base):
    """A place where a person lives, has just moved in, or will. `n` counts from 0.

    It counts on a day if that lies at or after `start_date` and before `end_date`, where given.
    """

    __tablename__ = "resident_place"
    __table_args__ = (
        sa.Index("resident_place_division_code_resident_id_idx", "division_code", "resident_id"),
        sa.Index("resident_place_grid_code_resident_id_idx", "grid_code", "resident_id"),
        sa.Index("resident_place_compound_id_resident_id_idx", "compound_id", "resident_id"),
        # Who else lives there.
        sa.Index("resident_place_dwelling_id_resident_id_idx", "dwelling_id", "resident_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    tenure: Mapped[str | None]
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]
    dwelling_id: Mapped[UUID | None]
    lease_end_date: Mapped[date | None]


class Compound(Base):
    """Which village a compound belongs to, for its id does not say; where it is, and how large.

    Degrees, WGS-84. All but the village is null until the register states it.
    """

    __tablename__ = "compound"
    __table_args__ = (sa.Index("compound_village_code_id_idx", "village_code", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    generation: Mapped[int]
    name: Mapped[str | None]
    longitude: Mapped[float | None] = mapped_column(sa.Double)
    latitude: Mapped[float | None] = mapped_column(sa.Double)
    risk_level: Mapped[str | None]
    households: Mapped[int | None]
    population: Mapped[int | None]


class Village(Base):
    """What a village or community is called."""

    __tablename__ = "village"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name: Mapped[str]
    generation: Mapped[int]


class LedgerLabel(Base):
    """A label word that a ledger has given a person, as written.

    Only a pair seen for the first time leads to an assignment: one that an officer removed does not
    come back with the next change of something else.
    """

    __tablename__ = "ledger_label"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
