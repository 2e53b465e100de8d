"""For whom the mere passing of days can change whether a rule holds.

Between two days, only those cross a bound of a rule whose day (of birth, of a lease's end, on which a
tag was given) lies in a stretch of days that the bound has moved over. So a night looks at these
few and not at everybody. More may be in a stretch than cross; nobody who crosses is outside of all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from services.common.clock import latest_birth
from services.tagging_api.domain.rules import (
    DATES,
    Compare,
    Days,
    FieldName,
    HasTag,
    Operator,
    RelativeDay,
    Rule,
    Value,
    nodes,
)


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """The days after one, up to and including another."""

    after: date
    until: date


@dataclass(frozen=True, slots=True)
class Crossings:
    """`given` are days on which a tag was given, by its code; `tags` those that a rule asks for."""

    births: tuple[Stretch, ...]
    leases: tuple[Stretch, ...]
    given: Mapping[str, tuple[Stretch, ...]]
    tags: frozenset[str]


def crossings(rule: Rule, *, after: date, until: date) -> Crossings:
    """What moves over whom from the day `after` to the day `until`, which is later."""
    births: set[Stretch] = set()
    leases: set[Stretch] = set()
    given: dict[str, set[Stretch]] = {}
    tags: set[str] = set()
    for _, node in nodes(rule):
        match node:
            case Compare(FieldName.AGE, op, values):
                births.update(
                    Stretch(latest_birth(after, age), latest_birth(until, age))
                    for age in _turns(op, values)
                )
            case Compare(name, _, values) if name in DATES:
                moving = [value.days for value in values if isinstance(value, RelativeDay)]
                of = births if name is FieldName.BIRTH_DATE else leases
                # A bound that is a day: the day itself is on one side or on the other.
                of.update(
                    Stretch(after + timedelta(days=days - 1), until + timedelta(days=days))
                    for days in moving
                )
            case HasTag(code, _, days):
                tags.add(code)
                if days is not None:
                    given.setdefault(code, set()).update(_given(days, after, until))
            case _:
                continue
    return Crossings(
        births=_sorted(births),
        leases=_sorted(leases),
        given={code: _sorted(found) for code, found in given.items()},
        tags=frozenset(tags),
    )


def _given(days: Days, after: date, until: date) -> Iterator[Stretch]:
    for number in _turns(days.op, days.values):
        ago = timedelta(days=number)
        yield Stretch(after - ago, until - ago)


def _turns(op: Operator, values: tuple[Value, ...]) -> frozenset[int]:
    """The whole numbers at which a comparison turns: reaching one, it may no longer be what it was."""
    numbers = [value for value in values if isinstance(value, int)]
    match op:
        case Operator.EQ | Operator.NE | Operator.IN:
            return frozenset(n + more for n in numbers for more in (0, 1))
        case Operator.LT | Operator.GTE:
            return frozenset(numbers)
        case Operator.LTE | Operator.GT:
            return frozenset(n + 1 for n in numbers)
        case Operator.BETWEEN:
            return frozenset({numbers[0], numbers[1] + 1})


def _sorted(stretches: set[Stretch]) -> tuple[Stretch, ...]:
    return tuple(sorted(each for each in stretches if each.after < each.until))
