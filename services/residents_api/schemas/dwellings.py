"""Dwellings: where people can live."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Page, Schema, VillageCode
from services.residents_api.schemas.areas import GridCode
from services.residents_api.schemas.buildings import PartOfAddress
from services.residents_api.schemas.codes import DwellingUse
from services.residents_api.schemas.coordinates import Coordinates, CoordinatesSaid, Wgs84Read

SquareMetres = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False, examples=[89.5])]


class DwellingRead(Schema):
    id: UUID
    compound_id: UUID | None
    building: str | None = Field(examples=["3"])
    unit: str | None = Field(examples=["2"])
    room: str | None = Field(examples=["201"])
    division_code: str = Field(examples=["510182104006"])
    grid_code: str | None = Field(examples=["510182104006001"])
    address: str = Field(
        description="Standardised.",
        examples=["四川省成都市彭州市九尺镇金沙社区金沙小区3栋2单元201室"],
    )
    use: DwellingUse | None
    floor_area: float | None = Field(description="Square metres.", examples=[89.5])
    coordinates: Coordinates | None
    wgs84: Wgs84Read | None
    version: int


class DwellingPage(Page):
    items: list[DwellingRead]


class _Facts(Schema):
    grid_code: GridCode | None = None
    use: DwellingUse | None = None
    floor_area: SquareMetres | None = None
    coordinates: CoordinatesSaid | None = None


class DwellingCreate(_Facts):
    """A dwelling. The address is written as people write it (3栋, 2单元, 201室) and kept in normal
    form; it must name a room or, in the country, a house.
    """

    division_code: VillageCode
    compound_id: UUID | None = None
    building: PartOfAddress | None = Field(default=None, examples=["3栋"])
    unit: PartOfAddress | None = Field(default=None, examples=["2单元"])
    room: PartOfAddress | None = Field(default=None, examples=["201室"])


class DwellingUpdate(_Facts):
    """What to change: fields that are present; null empties one. An address is corrected as a
    whole: what is not said of it stays.
    """

    compound_id: UUID | None = None
    building: PartOfAddress | None = Field(default=None, examples=["3栋"])
    unit: PartOfAddress | None = Field(default=None, examples=["2单元"])
    room: PartOfAddress | None = Field(default=None, examples=["201室"])
