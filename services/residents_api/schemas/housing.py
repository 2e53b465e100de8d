"""Dwellings, and who lives in them."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Page, Schema
from services.residents_api.schemas.codes import RelationToHead, Tenure
from services.residents_api.schemas.days import Day


class DwellingRead(Schema):
    id: UUID
    compound_id: UUID | None
    building: str | None = Field(examples=["3"])
    unit: str | None = Field(examples=["2"])
    room: str | None = Field(examples=["201"])
    division_code: str = Field(examples=["510182104006"])
    grid_code: str | None = Field(examples=["510182104006001"])


class DwellingPage(Page):
    items: list[DwellingRead]


class OccupancyState(StrEnum):
    """`pending` waits for a review; `ended` is derived from the end date."""

    PENDING = "pending"
    APPROVED = "approved"
    ENDED = "ended"


class OccupancyCreate(Schema):
    """Somebody moves in."""

    resident_id: UUID
    dwelling_id: UUID
    tenure: Tenure
    relation_to_head: RelationToHead
    start_date: Day


class OccupancyEnd(Schema):
    """Somebody moves out. `end_date` is the first day on which they no longer live there."""

    end_date: Day


class OccupancyRead(Schema):
    id: UUID
    resident_id: UUID
    dwelling_id: UUID
    tenure: Tenure | None
    relation_to_head: RelationToHead | None
    start_date: date | None
    end_date: date | None
    state: OccupancyState


class OccupancyPage(Page):
    items: list[OccupancyRead]
