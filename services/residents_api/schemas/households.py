"""Households (户): who lives together, and moving as one."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Schema
from services.residents_api.schemas.codes import RelationToHead, Sex, Tenure
from services.residents_api.schemas.days import Day
from services.residents_api.schemas.housing import OccupancyRead


class HouseholdMember(Schema):
    """Somebody who lives there, masked."""

    resident_id: UUID
    occupancy_id: UUID
    name: str = Field(description="Masked.", examples=["张*"])
    sex: Sex | None
    birth_date: date | None
    relation_to_head: RelationToHead | None
    tenure: Tenure | None
    start_date: date | None
    end_date: date | None


class HouseholdRead(Schema):
    """Who lives in a dwelling today, or is to.

    `head` is null if there is none, or more than one: `faults` then says `household.without_head`
    or `household.two_heads`, and the household cannot move as one. `lodgers` live there and are
    related to nobody.
    """

    dwelling_id: UUID
    head: HouseholdMember | None
    members: list[HouseholdMember] = Field(description="All of the household, the head among them.")
    lodgers: list[HouseholdMember]
    faults: list[str] = Field(examples=[[]])


class HouseholdMove(Schema):
    """A household moves to another dwelling. `date` is the first day in the new one.

    `resident_ids` are those who move, by default everybody of the household. One of them must be
    its head.
    """

    dwelling_id: UUID = Field(description="Where to.")
    date: Day
    resident_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = None
    tenure: Tenure | None = Field(default=None, description="By default what it was.")
    lease_end_date: Day | None = None


class HouseholdMoved(Schema):
    """The new occupancies; a household is small, so this list has one page."""

    items: list[OccupancyRead]
    next_page_token: str | None
