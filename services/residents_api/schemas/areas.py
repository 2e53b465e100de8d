"""Divisions and grids."""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from services.common.schemas import Instant, Line, Page, Schema, VillageCode
from services.residents_api.schemas.days import Day

SuccessorCode = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{9}|[0-9]{12})$"),
    Field(description="A town or a village.", examples=["510182104012"]),
]


class DivisionLevel(StrEnum):
    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    TOWN = "town"
    VILLAGE = "village"


class DivisionRead(Schema):
    code: str = Field(examples=["510182104006"])
    name: str = Field(examples=["金沙社区居委会"])
    level: DivisionLevel
    parent_code: str | None = Field(examples=["510182104"])


class DivisionPage(Page):
    items: list[DivisionRead]


class DivisionDetail(DivisionRead):
    """A division, former ones included: `valid_to` is the first day on which it is none, and
    `successors` is what became of it.
    """

    valid_from: date | None
    valid_to: date | None
    successors: list[DivisionRead]


class Successor(Schema):
    """A division that takes over. One that does not exist yet needs a name."""

    code: SuccessorCode
    name: Annotated[Line, Field(max_length=60, examples=["金沙新社区居委会"])] | None = None


class Assignment(Schema):
    """Where one part goes: a village of a town, or a grid or compound of a village."""

    area: Annotated[
        str,
        StringConstraints(
            pattern=r"^([0-9]{12}|[0-9]{15}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
        ),
        Field(examples=["510182104006001"]),
    ]
    successor_code: SuccessorCode


class SuccessionCreate(Schema):
    """Of several successors the first takes over whatever is not assigned to another one."""

    valid_to: Day = Field(description="The first day on which the division is none any more.")
    successors: list[Successor] = Field(min_length=1, max_length=20)
    assignments: list[Assignment] = Field(default=[], max_length=1000)


class SuccessionState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"


class SuccessionRead(Schema):
    """How far the move of a former division's dwellings and people is."""

    id: UUID
    code: str
    state: SuccessionState
    dwellings_moved: int
    residents_moved: int
    created_at: Instant
    finished_at: Instant | None


class GridRead(Schema):
    code: str = Field(examples=["510182104006001"])
    village_code: str = Field(examples=["510182104006"])
    name: str | None = Field(examples=["金沙社区第一网格"])
    valid_to: date | None = Field(description="The first day on which it is none any more.")
    successor_code: str | None = Field(examples=[None])


class GridPage(Page):
    items: list[GridRead]


GridName = Annotated[Line, Field(max_length=60, examples=["金沙社区第一网格"])]
GridCode = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{15}$"), Field(examples=["510182104006001"])
]


class GridCreate(Schema):
    """A new grid of a village. Without a serial it gets the next free one."""

    village_code: VillageCode
    serial: int | None = Field(default=None, ge=1, le=999)
    name: GridName | None = None


class GridUpdate(Schema):
    name: GridName | None


class GridClose(Schema):
    """An empty grid can be closed; one that is not, if another one of its village takes over."""

    valid_to: Day
    successor_code: GridCode | None = None
