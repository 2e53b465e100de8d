"""Rules evaluated plainly, over people in memory: slow, short, and what the engines are held against."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from services.common import clock
from services.common.areas import Area, Place
from services.tagging_api.domain.rules import (
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
    Operator,
    Rule,
    Sample,
    Value,
    chosen,
    first_of,
    resolved_day,
)


@dataclass(frozen=True, slots=True)
class Residence:
    """One place where somebody lives. `end` is the first day on which they no longer do."""

    place: Place
    tenure: str | None = None
    start: date | None = None
    end: date | None = None
    dwelling_id: UUID | None = None
    lease_end: date | None = None

    def current(self, on: date) -> bool:
        return (self.start is None or self.start <= on) and (self.end is None or on < self.end)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who says that somebody bears a tag. `day` is since when; `valid_until` no longer counts."""

    source: str
    day: date
    valid_from: date | None = None
    valid_until: date | None = None

    def valid(self, on: date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_until is None or on < self.valid_until
        )


@dataclass(frozen=True, slots=True)
class Person:
    """What the rules know of somebody."""

    number: int
    birth_date: date | None
    codes: Mapping[FieldName, str | None]
    tags: Mapping[str, tuple[Assignment, ...]]
    residences: tuple[Residence, ...]


def members(
    rule: Rule,
    people: Sequence[Person],
    *,
    areas: Sequence[Area],
    on: date,
    frozen: Mapping[UUID, frozenset[int]] | None = None,
) -> frozenset[int]:
    """The numbers of those in the audience of `rule`, as seen by a caller with `areas`.

    `people` are all there are; `frozen` says who was in a frozen audience. Raises ValueError for
    an audience that is not resolved.
    """
    return _View(people, areas, on, frozen or {}).found(rule)


@dataclass(slots=True)
class _View:
    """The people of some areas on a day."""

    people: Sequence[Person]
    areas: Sequence[Area]
    on: date
    frozen: Mapping[UUID, frozenset[int]]
    seen: dict[int, tuple[Person, tuple[Residence, ...]]] = field(init=False)
    # Who lives in a dwelling, whoever asks.
    households: dict[UUID, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.seen, self.households = {}, {}
        for person in self.people:
            for residence in person.residences:
                if residence.dwelling_id is not None and residence.current(self.on):
                    self.households.setdefault(residence.dwelling_id, set()).add(person.number)
            places = tuple(
                r for r in person.residences if r.current(self.on) and r.place.within(self.areas)
            )
            if places:
                self.seen[person.number] = person, places

    def found(self, rule: Rule) -> frozenset[int]:
        everyone = frozenset(self.seen)
        match rule:
            case AllOf(rules):
                return everyone.intersection(*map(self.found, rules))
            case AnyOf(rules):
                return frozenset[int]().union(*map(self.found, rules))
            case Not(inner):
                return everyone - self.found(inner)
            case Sample(inner, n, basis_points, seed):
                return frozenset(_drawn(self.found(inner), n, basis_points, seed))
            case Members(audience_id):
                return everyone & self.frozen[audience_id]
            case AsSeenFrom(areas, inner):
                return everyone & _View(self.people, areas, self.on, self.frozen).found(inner)
            case HasTag() | InArea() | Compare():
                return frozenset(
                    number
                    for number, (person, places) in self.seen.items()
                    if self._holds(rule, person, places)
                )
            case InAudience():
                raise ValueError("the audience is not resolved")

    def _holds(
        self, rule: HasTag | InArea | Compare, person: Person, places: tuple[Residence, ...]
    ) -> bool:
        match rule:
            case HasTag():
                return _bears(rule, person, self.on)
            case InArea(area):
                return any(residence.place.within([area]) for residence in places)
            case Compare(name, op, values):
                bounds = tuple(resolved_day(value, self.on) for value in values)
                return any(
                    _compares(op, value, bounds)
                    for value in self._values(name, person, places)
                    if value is not None
                )

    def _values(
        self, name: FieldName, person: Person, places: tuple[Residence, ...]
    ) -> Iterator[Value | None]:
        match name:
            case FieldName.AGE:
                born = person.birth_date
                yield clock.age(born, on=self.on) if born is not None else None
            case FieldName.BIRTH_DATE:
                yield person.birth_date
            case FieldName.TENURE:
                yield from (residence.tenure for residence in places)
            case FieldName.LEASE_END_DATE:
                yield from (residence.lease_end for residence in places)
            case FieldName.HOUSEHOLD_SIZE:
                yield from map(self._household, places)
            case FieldName.LIVES_ALONE:
                for size in map(self._household, places):
                    yield size == 1 if size is not None else None
            case _:
                yield person.codes.get(name)

    def _household(self, residence: Residence) -> int | None:
        dwelling = residence.dwelling_id
        return len(self.households[dwelling]) if dwelling is not None else None


def _bears(rule: HasTag, person: Person, on: date) -> bool:
    return any(
        assignment.valid(on)
        and rule.source in {None, assignment.source}
        and (
            rule.days is None
            or _compares(rule.days.op, (on - assignment.day).days, rule.days.values)
        )
        for assignment in person.tags.get(rule.code, ())
    )


def _drawn(
    found: frozenset[int], n: int | None, basis_points: int | None, seed: int
) -> Iterator[int]:
    if n is not None:
        yield from first_of(found, n=n, seed=seed)
    elif basis_points is not None:
        yield from (
            number for number in found if chosen(number, basis_points=basis_points, seed=seed)
        )


def _compares(op: Operator, value: Any, against: tuple[Any, ...]) -> bool:
    # Values and bounds of one field are of one type: the schema sees to that.
    first, last = against[0], against[-1]
    holds: bool
    match op:
        case Operator.EQ:
            holds = value == first
        case Operator.NE:
            holds = value != first
        case Operator.IN:
            holds = value in against
        case Operator.LT:
            holds = value < first
        case Operator.LTE:
            holds = value <= first
        case Operator.GT:
            holds = value > first
        case Operator.GTE:
            holds = value >= first
        case Operator.BETWEEN:
            holds = first <= value <= last
    return holds
