"""Days on the wire."""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from services.common.problems import Text
from services.common.schemas import fault
from services.residents_api.domain.dates import EARLIEST_YEAR, LATEST_YEAR

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written(value: Any) -> str:
    # Pydantic alone would take 0, and "631152000" too, for seconds since 1970.
    if isinstance(value, str) and _WRITTEN.fullmatch(value):
        return value
    raise PydanticCustomError("date_parsing", "Input should be a date (YYYY-MM-DD)")


def _plausible(day: date) -> date:
    if EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        return day
    raise fault(
        "date.out_of_range",
        Text(
            f"年份应在{EARLIEST_YEAR}至{LATEST_YEAR}之间",
            f"The year should lie between {EARLIEST_YEAR} and {LATEST_YEAR}",
        ),
    )


# A day as people send it: written in full, and in a year that a ledger may say as well.
Day = Annotated[
    date, BeforeValidator(_written), AfterValidator(_plausible), Field(examples=["2026-03-01"])
]
