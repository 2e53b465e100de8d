"""Ages are completed years in the city's own calendar."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.clock import SystemClock, age, birthday, latest_birth, today
from tests.conftest import FixedClock

days = st.dates(date(1860, 1, 1), date(2200, 12, 31))
ages = st.integers(0, 150)
LEAP_DAY = date(2000, 2, 29)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 11, 22, 15, 59, 59, 999999, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 11, 22, 16, 0, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2024, 2, 28, 16, 0, tzinfo=UTC), date(2024, 2, 29)),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), date(2027, 1, 1)),
    ],
)
def test_today_is_the_day_in_shanghai(instant: datetime, day: date) -> None:
    assert today(FixedClock(instant)) == day


def test_instants_are_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("born", "years", "day"),
    [
        (LEAP_DAY, 0, LEAP_DAY),
        (LEAP_DAY, 1, date(2001, 3, 1)),
        (LEAP_DAY, 4, date(2004, 2, 29)),
        (LEAP_DAY, 100, date(2100, 3, 1)),
        (date(2000, 2, 28), 1, date(2001, 2, 28)),
        (date(2000, 3, 1), 1, date(2001, 3, 1)),
        (date(1999, 12, 31), 27, date(2026, 12, 31)),
    ],
)
def test_birthdays(born: date, years: int, day: date) -> None:
    assert birthday(born, years) == day


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        (LEAP_DAY, date(2001, 2, 28), 0),
        (LEAP_DAY, date(2001, 3, 1), 1),
        (LEAP_DAY, date(2004, 2, 28), 3),
        (LEAP_DAY, date(2004, 2, 29), 4),
        (date(2000, 5, 5), date(2000, 5, 5), 0),
        (date(2000, 5, 5), date(2026, 5, 4), 25),
        (date(2000, 5, 5), date(2026, 5, 5), 26),
        (date(2000, 5, 5), date(2000, 5, 4), -1),
    ],
)
def test_ages(born: date, on: date, years: int) -> None:
    assert age(born, on=on) == years


@given(days, days, ages)
@example(LEAP_DAY, date(2001, 2, 28), 1)
@example(LEAP_DAY, date(2001, 3, 1), 1)
@example(date(2001, 2, 28), date(2004, 2, 29), 3)
@example(date(2001, 3, 1), date(2004, 2, 29), 3)
def test_the_latest_birth_is_the_border(born: date, on: date, years: int) -> None:
    """What SQL compares is what the birthday says."""
    completed = birthday(born, years) <= on
    assert completed == (born <= latest_birth(on, years))
    assert completed == (age(born, on=on) >= years)


@given(days, ages)
@example(date(2024, 2, 29), 1)
@example(date(2024, 2, 29), 4)
@example(date(2023, 3, 1), 3)
def test_the_day_after_the_border_is_too_late(on: date, years: int) -> None:
    latest = latest_birth(on, years)
    assert age(latest, on=on) == years
    assert age(latest + timedelta(days=1), on=on) == years - 1


@given(days, days)
def test_nobody_gets_younger(born: date, on: date) -> None:
    assert age(born, on=on + timedelta(days=1)) - age(born, on=on) in {0, 1}
