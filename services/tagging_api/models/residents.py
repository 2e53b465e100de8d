"""What the register's feed said: what rules ask and nothing else, no name, number or phone."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class Resident(Base):
    """What rules may ask about a person. `number` is dense and never given twice."""

    __tablename__ = "resident"
    __table_args__ = (sa.Index("resident_birth_date_idx", "birth_date"),)

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


class ResidentPlace(Base):
    """A place where a person lives, has just moved in, or will. `n` counts from 0.

    It counts on a day if that lies at or after `start_date` and before `end_date`, where given.
    """

    __tablename__ = "resident_place"
    __table_args__ = (
        sa.Index("resident_place_division_code_resident_id_idx", "division_code", "resident_id"),
        sa.Index("resident_place_grid_code_resident_id_idx", "grid_code", "resident_id"),
        sa.Index("resident_place_compound_id_resident_id_idx", "compound_id", "resident_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    tenure: Mapped[str | None]
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]


class Compound(Base):
    """Which village a compound belongs to: its id does not say."""

    __tablename__ = "compound"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    generation: Mapped[int]


class LedgerLabel(Base):
    """A label word that a ledger has given a person, as written.

    Only a pair seen for the first time leads to an assignment: one that an officer removed does not
    come back with the next change of something else.
    """

    __tablename__ = "ledger_label"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
