"""Dates as community workers write them, and as spreadsheets keep them.

2002-09-08, 2021.8.15, 2012/9/1, 20150305, 2015年3月5日, 2015年3月, 1990.5, 1990年, 85.3.2,
二〇一五年三月, ISO date-times, date cells, and serial numbers (44197) of date cells that lost
their format. Typed as text, 20203 may be a month without its zero: no date. A day before its month before its year is refused: 3/5/2015 is two dates.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from services.residents_api.domain import numerals
from services.residents_api.domain.cells import Cell, compatible, text_of

Precision = Literal["day", "month", "year"]

EARLIEST_YEAR = 1850
LATEST_YEAR = 2199

_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_WRITTEN = re.compile(
    r"([0-9]{4}|[0-9]{2})[-./,、·\\_\s–—−‐~年]+"
    r"([0-9]{1,2})(?:\s*月份?)?[-./,、·\\_\s–—−‐~]*"
    r"(?:([0-9]{1,2})\s*[日号]?)?\s*"
    r"(?:T?\s*[0-9]{1,2}[:时][0-9]{1,2}(?:[:分][0-9]{1,2}(?:\.[0-9]{1,9})?)?秒?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
    r"\.?",
    re.IGNORECASE,
)
_YEAR = re.compile(r"([0-9]{4})(?:年|\.0*)?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:\.0*)?")
_MONTHLY = re.compile(r"([0-9]{4})([0-9]{2})(?:\.0*)?")
_SHORT = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_SERIAL = re.compile(r"([0-9]{4,5})(?:\.[0-9]+)?")
_MONTH_WITHOUT_ZERO = re.compile(r"(?:19[0-9]{2}|20[0-3][0-9])[1-9]")
_CHINESE = re.compile(rf"[{numerals.CHARACTERS}]+")
# A spreadsheet's day 1 is 1900-01-01 and it believes in 1900-02-29; from 1 March 1900 on,
# counting from 30 December 1899 agrees with it.
_SERIAL_ZERO = date(1899, 12, 30)
# 4-digit numbers up to here are years, above they are serials (2200 is in January 1906).
_LATEST_SERIAL = 109_000


class DateError(ValueError):
    """The cell holds something that is no date. Never says what: it may be personal."""

    def __init__(self) -> None:
        super().__init__("not a date")


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date and how much of it was written: month precision means the first of the month."""

    day: date
    precision: Precision

    def agrees_with(self, other: date) -> bool:
        """Whether `other` is the same day, as far as this date was written."""
        if self.precision == "day":
            return self.day == other
        if self.precision == "month":
            return (self.day.year, self.day.month) == (other.year, other.month)
        return self.day.year == other.year


def parse(cell: Cell, *, today: date) -> date | None:
    """The date of a cell, None for an empty one; see parse_written."""
    written = parse_written(cell, today=today)
    return written.day if written else None


def parse_written(cell: Cell, *, today: date) -> WrittenDate | None:
    """The date of a cell with its precision; None for an empty cell, DateError for no date.

    Two digits of a year mean the latest such date that is not after `today`. A year below
    1850 or above 2199 is no date. A number cell 1990.1 is January: October would be 1990.10,
    of which a spreadsheet's number keeps no zero.
    """
    if isinstance(cell, str):
        return _text(cell, today)
    if isinstance(cell, datetime):
        return _checked(cell.date())
    if isinstance(cell, date):
        return _checked(cell)
    if cell is None:
        return None
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _text(text_of(cell), today, typed=False)
    raise DateError


# A ledger's few distinct days are parsed once: start dates repeat by the thousand.
@lru_cache(maxsize=1 << 16)
def _text(text: str, today: date, *, typed: bool = True) -> WrittenDate | None:
    if iso := _ISO.fullmatch(text):
        return _of(iso[1], iso[2], iso[3])
    text = compatible(text_of(text)).lstrip("'`‘’")
    if not text:
        return None
    if len(text) > 40:
        raise DateError
    if typed and _MONTH_WITHOUT_ZERO.fullmatch(text):
        raise DateError
    text = _CHINESE.sub(_arabic, text)
    if written := _WRITTEN.fullmatch(text):
        year, month, day = written[1], written[2], written[3]
        if len(year) == 4:
            return _of(year, month, day)
        # "85年3月" says which part is the year, "85.3" may be anything.
        if day is None and "年" not in text:
            raise DateError
        return _of_short_year(year, month, day, today=today)
    return _of_digits(text, today=today)


def _of_digits(text: str, *, today: date) -> WrittenDate:
    if (year := _YEAR.fullmatch(text)) and EARLIEST_YEAR <= int(year[1]) <= LATEST_YEAR:
        return WrittenDate(date(int(year[1]), 1, 1), "year")
    if compact := _COMPACT.fullmatch(text):
        return _of(compact[1], compact[2], compact[3])
    if (monthly := _MONTHLY.fullmatch(text)) and EARLIEST_YEAR <= int(monthly[1]) <= LATEST_YEAR:
        return _of(monthly[1], monthly[2], None)
    if short := _SHORT.fullmatch(text):
        return _of_short_year(short[1], short[2], short[3], today=today)
    if (serial := _SERIAL.fullmatch(text)) and LATEST_YEAR < int(serial[1]) <= _LATEST_SERIAL:
        return _checked(_SERIAL_ZERO + timedelta(days=int(serial[1])))
    raise DateError


def _of(year: str, month: str, day: str | None) -> WrittenDate:
    try:
        found = date(int(year), int(month), int(day) if day else 1)
    except ValueError:
        raise DateError from None
    return _checked(found, "day" if day else "month")


def _of_short_year(year: str, month: str, day: str | None, *, today: date) -> WrittenDate:
    century = today.year // 100 * 100
    # A leap day exists in one century and not in the other: only possible dates compete.
    for candidate in (century + int(year), century - 100 + int(year)):
        try:
            written = _of(str(candidate), month, day)
        except DateError:
            continue
        if written.day <= today:
            return written
    raise DateError


def _checked(found: date, precision: Precision = "day") -> WrittenDate:
    if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
        raise DateError
    return WrittenDate(found, precision)


def _arabic(match: re.Match[str]) -> str:
    value = numerals.to_int(match[0])
    if value is None:
        raise DateError
    return str(value)
