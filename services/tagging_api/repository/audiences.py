"""Rules as SQL: the truth about who is in an audience.

`domain.rules` says what a rule means; a property test holds all engines against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression, and_, or_
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased

from services.common import areas as common_areas
from services.common.areas import Area
from services.common.database import ReadSession
from services.tagging_api.domain import rules as meaning
from services.tagging_api.domain.rules import (
    OF_PLACE,
    AllOf,
    AnyOf,
    AsSeenFrom,
    Compare,
    FieldName,
    HasTag,
    InArea,
    InAudience,
    Members,
    Not,
    Rule,
    Sample,
)
from services.tagging_api.models import AudienceMember, Resident, ResidentPlace, TagAssignment
from services.tagging_api.repository.comparisons import (
    aged,
    chosen,
    compares,
    days_ago,
    mixed,
    valid,
)


async def count(session: ReadSession, rule: Rule, *, areas: Sequence[Area], on: date) -> int:
    """How many residents the audience has on a day. One statement."""
    members = sa.select(sa.func.count()).select_from(Resident).where(belongs(rule, areas, on))
    return await session.scalar(members) or 0


def belongs(rule: Rule, areas: Sequence[Area] | None, on: date) -> ColumnElement[bool]:
    """Over `resident`: who is in the audience of the rule, as seen by a caller with `areas`.

    With None for areas, everywhere: nobody asks, but a tag keeps itself. Raises ValueError for a rule that is not resolved.
    """
    return _Compiler(Resident, areas, on).belongs(rule)


def holds(rule: Rule, areas: Sequence[Area], on: date) -> ColumnElement[bool]:
    """Over `resident`: whether the rule holds, for those with a place that is seen.

    Null instead of false where a value is unknown.
    """
    return _Compiler(Resident, areas, on).holds(rule)


async def holding(
    session: ReadSession, resident_id: UUID, asked: Sequence[tuple[Rule, Sequence[Area]]], on: date
) -> list[bool]:
    """Which of the rules, each as seen by a caller with its areas, hold for one resident.

    Also for one with no place that is seen. One statement.
    """
    # An array, for PostgreSQL returns 1,664 columns at most.
    each = [holds(rule, areas, on).is_(True) for rule, areas in asked]
    array: SQLColumnExpression[Any] = postgresql.array(each)
    found: list[bool] | None = await session.scalar(
        sa.select(array).where(Resident.id == resident_id)
    )
    return found or [False] * len(each)


def at_home(
    resident_id: SQLColumnExpression[Any], areas: Sequence[Area], on: date
) -> ColumnElement[bool]:
    """Whether the resident has a current place within the areas."""
    return _some_place(resident_id, _seen(areas, on))


def looked_after(
    resident_id: SQLColumnExpression[Any], areas: Sequence[Area], on: date
) -> ColumnElement[bool]:
    """Whether the areas' workers look after the resident: who lives there, or lives nowhere and is
    kept on file there.
    """
    kept = aliased(Resident)
    not_ended = or_(ResidentPlace.end_date.is_(None), ResidentPlace.end_date > on)
    within = common_areas.within(
        areas,
        division=sa.func.coalesce(kept.keeper_division_code, ""),
        grid=kept.keeper_grid_code,
        compound=kept.keeper_compound_id,
    )
    return or_(
        at_home(resident_id, areas, on),
        sa.exists().where(kept.id == resident_id, within, sa.not_(_some_place(kept.id, not_ended))),
    )


def _some_place(
    resident_id: SQLColumnExpression[Any], *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    return sa.exists().where(ResidentPlace.resident_id == resident_id, *conditions)


def _seen(areas: Sequence[Area] | None, on: date) -> ColumnElement[bool]:
    """Over `resident_place`: current, and the caller's."""
    current = valid(ResidentPlace.start_date, ResidentPlace.end_date, on)
    return current if areas is None else and_(current, _within(areas))


def _within(areas: Sequence[Area]) -> ColumnElement[bool]:
    return _within_these(tuple(areas))


# One expression for the same areas: its parameters then travel once, however many parts of a rule
# look at a caller's hundred areas.
@lru_cache(maxsize=256)
def _within_these(areas: tuple[Area, ...]) -> ColumnElement[bool]:
    return common_areas.within(
        areas,
        division=ResidentPlace.division_code,
        grid=ResidentPlace.grid_code,
        compound=ResidentPlace.compound_id,
    )


def _household(on: date) -> ColumnElement[int]:
    """Over `resident_place`: how many live in that dwelling, whoever asks; null if it is unknown."""
    other = aliased(ResidentPlace)
    living = (
        sa.select(sa.func.nullif(sa.func.count(other.resident_id.distinct()), 0))
        .where(
            other.dwelling_id == ResidentPlace.dwelling_id,
            valid(other.start_date, other.end_date, on),
        )
        .correlate(ResidentPlace)
    )
    return cast("ColumnElement[int]", living.scalar_subquery())


def _asks_for_place(rule: Rule) -> bool:
    """Whether the rule can hold only for somebody with a place that is seen.

    Then asking for one once more would join the places twice, for nothing.
    """
    match rule:
        case AllOf(rules):
            return any(_asks_for_place(inner) for inner in rules)
        case AnyOf(rules):
            return all(_asks_for_place(inner) for inner in rules)
        case InArea():
            return True
        case Compare(name):
            return name in OF_PLACE
        case Sample(inner, n):
            return n is not None or _asks_for_place(inner)
        case Not() | HasTag() | InAudience() | Members() | AsSeenFrom():
            return False


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns rules into conditions over `resident`, as a caller with `areas` sees it on a day.

    Values of one list travel as one array, and areas are looked at once: PostgreSQL takes
    32,767 in a statement, and a caller may have many areas.
    """

    resident: type[Resident]
    areas: Sequence[Area] | None
    on: date

    def belongs(self, rule: Rule) -> ColumnElement[bool]:
        found = self.holds(rule)
        if _asks_for_place(rule):
            return found
        return and_(_some_place(self.resident.id, _seen(self.areas, self.on)), found)

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
                return self._tagged([code], rule)
            case InArea(area):
                return self._lives([area])
            case Compare():
                return self._compared(rule)
            case Sample():
                return self._drawn(rule)
            case Members(audience_id):
                return sa.exists().where(
                    AudienceMember.resident_id == self.resident.id,
                    AudienceMember.audience_id == audience_id,
                )
            case AsSeenFrom(areas, inner):
                return _Compiler(self.resident, areas, self.on).belongs(inner)
            case InAudience():
                raise ValueError("the audience is not resolved")

    def _any(self, rules: Sequence[Rule]) -> ColumnElement[bool]:
        """A hundred areas to choose from are one look at the places, and so are tags."""
        areas = [rule.area for rule in rules if isinstance(rule, InArea)]
        plain = [rule for rule in rules if isinstance(rule, HasTag) and rule == HasTag(rule.code)]
        choices = [
            self.holds(rule) for rule in rules if not isinstance(rule, InArea) and rule not in plain
        ]
        if areas:
            choices.append(self._lives(areas))
        if plain:
            choices.append(self._tagged([rule.code for rule in plain], plain[0]))
        return or_(*choices)

    def _tagged(self, codes: Sequence[str], asked: HasTag) -> ColumnElement[bool]:
        """By an assignment of one of the tags, as is asked of it."""
        assignment = TagAssignment
        conditions = [
            assignment.resident_id == self.resident.id,
            assignment.tag_code.in_(codes),
            valid(assignment.valid_from, assignment.valid_until, self.on),
        ]
        if asked.source is not None:
            conditions.append(assignment.source == asked.source)
        if asked.days is not None:
            conditions.append(days_ago(assignment.created_at, asked.days, self.on))
        return sa.exists().where(*conditions)

    def _lives(self, areas: Sequence[Area]) -> ColumnElement[bool]:
        return self._place(_within(areas))

    def _place(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        # A place outside the caller's areas says nothing, not even by being counted.
        return _some_place(self.resident.id, _seen(self.areas, self.on), condition)

    def _compared(self, rule: Compare) -> ColumnElement[bool]:
        op, resident = rule.op, self.resident
        values = [meaning.resolved_day(value, self.on) for value in rule.values]
        match rule.field:
            case FieldName.AGE:
                ages = [years for years in values if isinstance(years, int)]
                return aged(resident.birth_date, op, ages, self.on)
            case FieldName.TENURE:
                return self._place(compares(ResidentPlace.tenure, op, values))
            case FieldName.LEASE_END_DATE:
                return self._place(compares(ResidentPlace.lease_end_date, op, values))
            case FieldName.HOUSEHOLD_SIZE:
                return self._place(compares(_household(self.on), op, values))
            case FieldName.LIVES_ALONE:
                alone = _household(self.on) == 1
                return self._place(alone if values[0] else sa.not_(alone))
            case _:
                return compares(_column(resident, rule.field), op, values)

    def _drawn(self, rule: Sample) -> ColumnElement[bool]:
        number = self.resident.number
        if rule.basis_points is not None:
            lucky = chosen(number, basis_points=rule.basis_points, seed=rule.seed)
            return and_(self.holds(rule.rule), lucky)
        another = aliased(Resident)
        drawn = (
            sa.select(another.number)
            .where(_Compiler(another, self.areas, self.on).belongs(rule.rule))
            .order_by(mixed(another.number, rule.seed), another.number)
            .limit(rule.n)
        )
        return number.in_(drawn)


def _column(resident: type[Resident], name: FieldName) -> SQLColumnExpression[Any]:
    columns: dict[FieldName, SQLColumnExpression[Any]] = {
        FieldName.SEX: resident.sex,
        FieldName.BIRTH_DATE: resident.birth_date,
        FieldName.POPULATION_TYPE: resident.population_type,
        FieldName.ETHNICITY: resident.ethnicity,
        FieldName.EDUCATION: resident.education,
        FieldName.MARITAL_STATUS: resident.marital_status,
        FieldName.POLITICAL_STATUS: resident.political_status,
    }
    return columns[name]
