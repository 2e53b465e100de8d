"""Divisions, grids and compounds."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


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
