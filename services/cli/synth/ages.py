"""Completed years, and the birthdays that the demo town keeps clear of.

Days are ordinals (`date.toordinal`). Who was born on 29 February completes a year on 1 March.
"""

from collections.abc import Callable
from datetime import date, timedelta

YEAR = 365.2425
YOUNGEST, OLDEST = 25, 35  # completed years, both ends included: the women the demo counts
_MARGIN = 60  # days on which the count must stay what it is, before and after today


def completed_years(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _gap(today: date, years: int) -> tuple[int, int]:
    """First and last day of birth whose `years`-th birthday is within the margin of `today`."""
    about = today.toordinal() - round(years * YEAR)
    before = today - timedelta(days=_MARGIN + 1)
    after = today + timedelta(days=_MARGIN)
    within = [
        day
        for day in range(about - _MARGIN - 9, about + _MARGIN + 10)
        if completed_years(date.fromordinal(day), before) < years
        and completed_years(date.fromordinal(day), after) >= years
    ]
    return within[0], within[-1]


class Ages:
    """What birth days mean on `today`, kept clear of the two boundaries for every woman."""

    def __init__(self, today: date) -> None:
        self.today = today.toordinal()
        self._older = _gap(today, OLDEST + 1)
        self._younger = _gap(today, YOUNGEST)
        self._first, self._last = self._older[1] + 1, self._younger[0] - 1

    def is_young_woman(self, birth: int, *, male: bool) -> bool:
        return not male and self._first <= birth <= self._last

    def young_woman(self, draw: Callable[[], float]) -> int:
        return self._first + int(draw() * (self._last - self._first + 1))

    def clear(self, birth: int, draw: Callable[[], float]) -> int:
        """`birth`, or a day at most half a year away if it is too near a boundary."""
        for first, last in (self._older, self._younger):
            if first <= birth <= last:
                away = int(draw() * 56)
                return first - 1 - away if away % 2 else last + 1 + away
        return birth
