"""Buildings and their units."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from services.common.schemas import Line, Page, Schema, VillageCode
from services.residents_api.schemas.areas import GridCode
from services.residents_api.schemas.codes import BuildingStatus

PartOfAddress = Annotated[Line, Field(max_length=30)]
Floors = Annotated[int, Field(ge=0, le=200)]
UnitInPath = Annotated[str, StringConstraints(min_length=1, max_length=30)]


class BuildingRead(Schema):
    """`number` is what dwellings call it: 3, or 2组 for a villagers' group."""

    id: UUID
    village_code: str = Field(examples=["510182104006"])
    grid_code: str | None = Field(examples=["510182104006001"])
    compound_id: UUID | None
    number: str = Field(examples=["3"])
    floors: int | None = Field(examples=[6])
    floors_below_ground: int | None = Field(examples=[1])
    status: BuildingStatus = Field(examples=["in_use"])
    version: int


class BuildingPage(Page):
    items: list[BuildingRead]


class BuildingCreate(Schema):
    """A building of a compound or, without one, of a village."""

    village_code: VillageCode
    compound_id: UUID | None = None
    grid_code: GridCode | None = None
    number: PartOfAddress = Field(examples=["3栋"])
    floors: Floors | None = None
    floors_below_ground: Floors | None = None
    status: BuildingStatus = "in_use"


class BuildingUpdate(Schema):
    """What to change: fields that are present. Nobody may live in what was demolished."""

    grid_code: GridCode | None = None
    floors: Floors | None = None
    floors_below_ground: Floors | None = None
    status: BuildingStatus | None = None


class UnitWrite(Schema):
    floors: Floors | None = None
    dwellings_per_floor: Floors | None = None
    has_lift: bool | None = None


class UnitCreate(UnitWrite):
    number: PartOfAddress = Field(examples=["2单元"])


class UnitRead(Schema):
    building_id: UUID
    number: str = Field(examples=["2"])
    floors: int | None = Field(examples=[6])
    dwellings_per_floor: int | None = Field(examples=[2])
    has_lift: bool | None = Field(examples=[False])


class UnitPage(Page):
    items: list[UnitRead]
