"""Divisions, grids and compounds."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base
from services.residents_api.models.located import WHOLE_POINT, Located


class Division(Base):
    """A public statistics division: province, city, county, town or village.

    `valid_to` is the first day on which it no longer exists: it was succeeded by others.
    """

    __tablename__ = "division"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(Code, index=True)
    valid_from: Mapped[date | None]
    valid_to: Mapped[date | None]


class DivisionSuccessor(Base):
    """Which divisions a former one became a part of."""

    __tablename__ = "division_successor"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    successor_code: Mapped[str] = mapped_column(Code, primary_key=True)


class DivisionSuccession(Base):
    """The job that moves what a former division contained to its successors.

    `moves` says where to: `[{"code", "successor_code", "compounds": {id: village}, "grids": {code:
    village}}]`, one for each village. Whoever holds `lease_until` works on it.
    """

    __tablename__ = "division_succession"
    __table_args__ = (sa.Index("division_succession_state_idx", "state", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Code, index=True)
    keeper_code: Mapped[str] = mapped_column(Code)
    moves: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="queued")
    requested_by: Mapped[str]
    dwellings_moved: Mapped[int] = mapped_column(server_default="0")
    residents_moved: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    finished_at: Mapped[datetime | None]


class Grid(Base):
    """A grid (网格): 12-digit village code and a serial of 3.

    `valid_to` is the first day on which it no longer exists; `successor_code` is the grid that took
    over what it contained.
    """

    __tablename__ = "grid"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    village_code: Mapped[str] = mapped_column(Code, index=True)
    name: Mapped[str | None]
    valid_to: Mapped[date | None]
    successor_code: Mapped[str | None] = mapped_column(Code)
    version: Mapped[int] = mapped_column(server_default="1")


class Compound(Located, Base):
    """A residential compound (小区).

    Households and people are counted from the register now and then; what is declared goes before.
    """

    __tablename__ = "compound"
    __table_args__ = (
        sa.UniqueConstraint("village_code", "name"),
        sa.CheckConstraint(WHOLE_POINT, name="point_is_whole"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    name: Mapped[str]
    address: Mapped[str | None]
    property_company: Mapped[str | None]
    committee: Mapped[str | None]
    risk_level: Mapped[str | None]
    households_declared: Mapped[int | None]
    population_declared: Mapped[int | None]
    households_counted: Mapped[int | None]
    population_counted: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default="1")

    @property
    def households(self) -> int | None:
        return self._said(self.households_declared, self.households_counted)

    @property
    def population(self) -> int | None:
        return self._said(self.population_declared, self.population_counted)

    @staticmethod
    def _said(declared: int | None, counted: int | None) -> int | None:
        return counted if declared is None else declared


class CompoundContact(Base):
    """Somebody of the property company or the committee. The phone is encrypted."""

    __tablename__ = "compound_contact"

    compound_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(sa.SmallInteger)
    role: Mapped[str]
    name: Mapped[str]
    phone_index: Mapped[bytes | None]
    phone: Mapped[bytes | None]

    def __repr__(self) -> str:
        return f"CompoundContact({self.id})"
