"""How many people, households and dwellings an area has."""

from pydantic import Field

from services.common.schemas import Schema


class AgeBand(Schema):
    """People of an age, in whole years. `age_to` is null for the oldest, both are null for those
    of whom no birth date is known.
    """

    age_from: int | None = Field(examples=[60])
    age_to: int | None = Field(examples=[64])
    male: int
    female: int
    other: int = Field(description="Neither is known.")


class GroupCount(Schema):
    """People of one group. `code` is null for those of whom it is not known."""

    code: str | None = Field(examples=["floating"])
    count: int | None = Field(description="Null if it is suppressed.")
    suppressed: bool


class PopulationRead(Schema):
    """Everybody is counted once, where they live, so areas add up.

    Of sensitive groups, counts of 1 to 4 are suppressed, and with them what they could be worked
    out from.
    """

    area: str = Field(examples=["510182104"])
    population: int
    households: int = Field(description="Dwellings that somebody lives in.")
    dwellings: int
    vacant_dwellings: int = Field(description="Nobody lives there, or they are said to be vacant.")
    by_age_and_sex: list[AgeBand]
    by_population_type: list[GroupCount]
    by_ethnicity: list[GroupCount]
    by_political_status: list[GroupCount]
    by_tenure: list[GroupCount]


class MonthCount(Schema):
    """`residents` lived in a dwelling of the area at the end of the month, or today."""

    month: str = Field(examples=["2026-11"])
    residents: int
    moved_in: int = Field(description="Occupancies that began, moves within the area among them.")
    moved_out: int


class TrendRead(Schema):
    area: str = Field(examples=["510182104"])
    months: list[MonthCount]
