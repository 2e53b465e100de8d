"""Buildings, dwellings and their addresses."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base
from services.residents_api.models.located import WHOLE_POINT, Located


class Building(Base):
    """A building that is more than a part of addresses: it has floors, units and a status.

    It contains the dwellings of its village and compound whose `building` is its `number`.
    """

    __tablename__ = "building"
    __table_args__ = (
        sa.UniqueConstraint(
            "village_code", "compound_id", "number", postgresql_nulls_not_distinct=True
        ),
        sa.Index("building_compound_id_idx", "compound_id", "id"),
        sa.Index("building_grid_code_idx", "grid_code", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    number: Mapped[str]
    floors: Mapped[int | None] = mapped_column(sa.SmallInteger)
    floors_below_ground: Mapped[int | None] = mapped_column(sa.SmallInteger)
    status: Mapped[str] = mapped_column(server_default="in_use")
    version: Mapped[int] = mapped_column(server_default="1")


class BuildingUnit(Base):
    """A unit (单元): a staircase with its own entrance."""

    __tablename__ = "building_unit"

    building_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(primary_key=True)
    floors: Mapped[int | None] = mapped_column(sa.SmallInteger)
    dwellings_per_floor: Mapped[int | None] = mapped_column(sa.SmallInteger)
    has_lift: Mapped[bool | None]


class Dwelling(Located, Base):
    """A place where people live. It carries its three areas: village, grid and compound."""

    __tablename__ = "dwelling"
    __table_args__ = (
        sa.Index("dwelling_division_code_id_idx", "division_code", "id"),
        sa.Index("dwelling_compound_id_id_idx", "compound_id", "id"),
        sa.Index("dwelling_grid_code_id_idx", "grid_code", "id"),
        sa.CheckConstraint(WHOLE_POINT, name="point_is_whole"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    building: Mapped[str | None]
    unit: Mapped[str | None]
    room: Mapped[str | None]
    use: Mapped[str | None]
    # Square metres.
    floor_area: Mapped[float | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class DwellingAddress(Base):
    """The address as a key, unique in the city: village, compound, building, unit and room."""

    __tablename__ = "dwelling_address"

    key: Mapped[str] = mapped_column(Code, primary_key=True)
    dwelling_id: Mapped[UUID]
