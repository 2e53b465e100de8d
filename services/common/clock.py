"""Time, injected. Instants are UTC; the civil calendar is Asia/Shanghai."""

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    def now(self) -> datetime:
        """This instant, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def today(clock: Clock) -> date:
    """The day it is in the city."""
    return clock.now().astimezone(SHANGHAI).date()


def birthday(born: date, years: int) -> date:
    """The day on which `years` are completed; one born on 29 February completes them on 1 March."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def latest_birth(on: date, years: int) -> date:
    """The latest day of birth that has completed `years` on the day `on`.

    `birthday(born, years) <= on` holds exactly for `born <= latest_birth(on, years)`.
    """
    try:
        return on.replace(year=on.year - years)
    except ValueError:
        return date(on.year - years, 2, 28)


def age(born: date, *, on: date) -> int:
    """Completed years."""
    years = on.year - born.year
    return years if birthday(born, years) <= on else years - 1
