"""Dwellings and their addresses."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


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
