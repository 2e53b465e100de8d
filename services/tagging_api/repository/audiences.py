"""Rules as SQL: the truth about who is in an audience.

`domain.rules` says what a rule means; a property test holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression, and_, or_
from sqlalchemy.dialects.postgresql import ARRAY

from services.common import areas as common_areas
from services.common.areas import Area
from services.common.clock import latest_birth
from services.common.database import ReadSession
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    Compare,
    FieldName,
    HasTag,
    InArea,
    Not,
    Operator,
    Rule,
    Value,
)
from services.tagging_api.models import Resident, ResidentPlace, TagAssignment

_COLUMNS: dict[FieldName, SQLColumnExpression[Any]] = {
    FieldName.SEX: Resident.sex,
    FieldName.BIRTH_DATE: Resident.birth_date,
    FieldName.POPULATION_TYPE: Resident.population_type,
    FieldName.ETHNICITY: Resident.ethnicity,
    FieldName.EDUCATION: Resident.education,
    FieldName.MARITAL_STATUS: Resident.marital_status,
    FieldName.POLITICAL_STATUS: Resident.political_status,
}


async def count(session: ReadSession, rule: Rule, *, areas: Sequence[Area], on: date) -> int:
    """How many residents the audience has on a day. One statement."""
    members = sa.select(sa.func.count()).select_from(Resident).where(belongs(rule, areas, on))
    return await session.scalar(members) or 0


def belongs(rule: Rule, areas: Sequence[Area], on: date) -> ColumnElement[bool]:
    """Over `resident`: who is in the audience of the rule, as seen by a caller with `areas`."""
    seen = _seen(areas, on)
    holds = _Compiler(seen, on).holds(rule)
    return holds if _asks_for_place(rule) else and_(_some_place(Resident.id, seen), holds)


def at_home(
    resident_id: SQLColumnExpression[Any], areas: Sequence[Area], on: date
) -> ColumnElement[bool]:
    """Whether the resident has a current place within the areas."""
    return _some_place(resident_id, _seen(areas, on))


def of_age(years: int, on: date) -> ColumnElement[bool]:
    """Over `resident`: everybody but those known to be younger."""
    return (Resident.birth_date > latest_birth(on, years)).is_not(True)


def _some_place(
    resident_id: SQLColumnExpression[Any], *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    return sa.exists().where(ResidentPlace.resident_id == resident_id, *conditions)


def _seen(areas: Sequence[Area], on: date) -> ColumnElement[bool]:
    """Over `resident_place`: current, and the caller's."""
    place = ResidentPlace
    return and_(
        or_(place.start_date.is_(None), place.start_date <= on),
        or_(place.end_date.is_(None), place.end_date > on),
        _within(areas),
    )


def _within(areas: Sequence[Area]) -> ColumnElement[bool]:
    return common_areas.within(
        areas,
        division=ResidentPlace.division_code,
        grid=ResidentPlace.grid_code,
        compound=ResidentPlace.compound_id,
    )


def _asks_for_place(rule: Rule) -> bool:
    """Whether the rule can hold only for somebody with a place that is seen.

    Then asking for one once more would join the places twice, for nothing.
    """
    match rule:
        case AllOf(rules):
            return any(_asks_for_place(inner) for inner in rules)
        case AnyOf(rules):
            return all(_asks_for_place(inner) for inner in rules)
        case InArea() | Compare(FieldName.TENURE):
            return True
        case Not() | HasTag() | Compare():
            return False


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns rules into conditions over `resident`.

    `seen` is one object wherever it stands, so that its parameters are sent once: PostgreSQL takes
    32,767 in a statement, and a caller may have many areas.
    """

    seen: ColumnElement[bool]
    on: date

    def holds(self, rule: Rule) -> ColumnElement[bool]:
        match rule:
            case AllOf(rules):
                return and_(*(self.holds(inner) for inner in rules))
            case AnyOf(rules):
                return self._any(rules)
            case Not(inner):
                # Not NOT: what is unknown below is not true, and its complement is.
                return self.holds(inner).is_not(True)
            case HasTag(code):
                return self._tagged([code])
            case InArea(area):
                return self._lives([area])
            case Compare(FieldName.TENURE, op, values):
                return self._place(_compares(ResidentPlace.tenure, op, values))
            case Compare(FieldName.AGE, op, values):
                return _aged(op, [years for years in values if isinstance(years, int)], self.on)
            case Compare(field, op, values):
                return _compares(_COLUMNS[field], op, values)

    def _any(self, rules: Sequence[Rule]) -> ColumnElement[bool]:
        """A hundred areas to choose from are one look at the places, and so are tags."""
        areas = [rule.area for rule in rules if isinstance(rule, InArea)]
        tags = [rule.code for rule in rules if isinstance(rule, HasTag)]
        choices = [self.holds(rule) for rule in rules if not isinstance(rule, InArea | HasTag)]
        if areas:
            choices.append(self._lives(areas))
        if tags:
            choices.append(self._tagged(tags))
        return or_(*choices)

    def _tagged(self, codes: Sequence[str]) -> ColumnElement[bool]:
        return sa.exists().where(
            TagAssignment.resident_id == Resident.id, TagAssignment.tag_code.in_(codes)
        )

    def _lives(self, areas: Sequence[Area]) -> ColumnElement[bool]:
        return self._place(_within(areas))

    def _place(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        # A place outside the caller's areas says nothing, not even by being counted.
        return _some_place(Resident.id, self.seen, condition)


def _compares(
    column: SQLColumnExpression[Any], op: Operator, values: Sequence[Value]
) -> ColumnElement[bool]:
    first, last = values[0], values[-1]
    comparisons: dict[Operator, ColumnElement[bool]] = {
        Operator.EQ: column == first,
        Operator.NE: column != first,
        Operator.IN: column == sa.any_(_array(values)),
        Operator.LT: column < first,
        Operator.LTE: column <= first,
        Operator.GT: column > first,
        Operator.GTE: column >= first,
        Operator.BETWEEN: column.between(first, last),
    }
    return comparisons[op]


def _array(values: Sequence[Value]) -> SQLColumnExpression[Any]:
    # One parameter, however many values.
    kind = sa.Date() if isinstance(values[0], date) else sa.Text()
    return sa.literal(list(values), ARRAY(kind))


def _aged(op: Operator, ages: Sequence[int], on: date) -> ColumnElement[bool]:
    """Ages as ranges of birth dates, which an index serves and no midnight changes."""
    born = Resident.birth_date
    first, last = ages[0], ages[-1]

    def between(low: int, high: int) -> ColumnElement[bool]:
        return and_(born <= latest_birth(on, low), born > latest_birth(on, high + 1))

    comparisons: dict[Operator, ColumnElement[bool]] = {
        Operator.EQ: between(first, first),
        Operator.NE: sa.not_(between(first, first)),
        Operator.IN: _in_some_stretch(ages, on),
        Operator.LT: born > latest_birth(on, first),
        Operator.LTE: born > latest_birth(on, first + 1),
        Operator.GT: born <= latest_birth(on, first + 1),
        Operator.GTE: born <= latest_birth(on, first),
        Operator.BETWEEN: between(first, last),
    }
    return comparisons[op]


def _in_some_stretch(ages: Sequence[int], on: date) -> ColumnElement[bool]:
    """Of several ages, which may lie apart: one parameter and a binary search.

    Each stretch of ages begins on one day of birth and ends before another. Among all these days
    in order, whoever was born after an odd number of them was born within a stretch.
    """
    days = sorted(
        latest_birth(on, age) + timedelta(days=1)
        for low, high in _stretches(ages)
        for age in (high + 1, low)
    )
    bucket = sa.func.width_bucket(Resident.birth_date, _array(days), type_=sa.Integer)
    return bucket % 2 == 1


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers as the fewest ranges, both ends included."""
    stretches: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if stretches and stretches[-1][1] == number - 1:
            stretches[-1] = stretches[-1][0], number
        else:
            stretches.append((number, number))
    return stretches
