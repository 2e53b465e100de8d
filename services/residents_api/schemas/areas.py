"""Divisions, compounds and code lists."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Page, Schema


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


class CompoundRead(Schema):
    id: UUID
    name: str = Field(examples=["金沙小区"])
    village_code: str = Field(examples=["510182104006"])


class CompoundPage(Page):
    items: list[CompoundRead]
