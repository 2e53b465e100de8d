"""What a rule means: the tree, and its plain evaluation for one person.

SQL (`repository.audiences`) is the engine that answers; this is what it is proved equal to.

- A person belongs to an audience if at least one current place lies within the caller's areas and
  the rule holds. Places outside are not seen at all: neither `area` nor `tenure` looks at them.
- A comparison with an unknown value is false; `not` is the plain complement of what it contains,
  so it does hold for people whose value is unknown.
- `area` and `tenure` hold if they hold for at least one of the places seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from services.common import clock
from services.common.areas import Area, Place

MAX_DEPTH = 16
MAX_NODES = 200
MAX_AGE = 150
MAX_VALUES = 100


class FieldName(StrEnum):
    """What a rule may compare. `tenure` belongs to a place, all others to the person."""

    AGE = "age"
    SEX = "sex"
    BIRTH_DATE = "birth_date"
    POPULATION_TYPE = "population_type"
    ETHNICITY = "ethnicity"
    EDUCATION = "education"
    MARITAL_STATUS = "marital_status"
    POLITICAL_STATUS = "political_status"
    TENURE = "tenure"


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    IN = "in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"


ORDERED = frozenset({FieldName.AGE, FieldName.BIRTH_DATE})
CODED_OPERATORS = frozenset({Operator.EQ, Operator.NE, Operator.IN})

Value = int | date | str


@dataclass(frozen=True, slots=True)
class AllOf:
    rules: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    rules: tuple["Rule", ...]


@dataclass(frozen=True, slots=True)
class Not:
    rule: "Rule"


@dataclass(frozen=True, slots=True)
class HasTag:
    code: str


@dataclass(frozen=True, slots=True)
class InArea:
    area: Area


@dataclass(frozen=True, slots=True)
class Compare:
    """`values` holds one value, two (between, both ends included) or several (in).

    Ages are ints, birth dates dates, everything else codes.
    """

    field: FieldName
    op: Operator
    values: tuple[Value, ...]


Rule = AllOf | AnyOf | Not | HasTag | InArea | Compare


@dataclass(frozen=True, slots=True)
class Residence:
    """One place where somebody lives. `end` is the first day on which they no longer do."""

    place: Place
    tenure: str | None = None
    start: date | None = None
    end: date | None = None

    def current(self, on: date) -> bool:
        return (self.start is None or self.start <= on) and (self.end is None or on < self.end)


@dataclass(frozen=True, slots=True)
class Person:
    """What the rules know of somebody."""

    birth_date: date | None
    codes: dict[FieldName, str | None]
    tags: frozenset[str]
    residences: tuple[Residence, ...]


def belongs(rule: Rule, person: Person, *, areas: tuple[Area, ...], on: date) -> bool:
    """Whether the audience of `rule`, as seen by a caller with `areas`, has this person."""
    seen = tuple(r for r in person.residences if r.current(on) and r.place.within(areas))
    return bool(seen) and _holds(rule, person, seen, on)


def _holds(rule: Rule, person: Person, seen: tuple[Residence, ...], on: date) -> bool:
    match rule:
        case AllOf(rules):
            return all(_holds(inner, person, seen, on) for inner in rules)
        case AnyOf(rules):
            return any(_holds(inner, person, seen, on) for inner in rules)
        case Not(inner):
            return not _holds(inner, person, seen, on)
        case HasTag(code):
            return code in person.tags
        case InArea(area):
            return any(residence.place.within([area]) for residence in seen)
        case Compare():
            return any(
                _compares(rule.op, value, rule.values)
                for value in _values(rule.field, person, seen, on)
                if value is not None
            )


def _values(
    field: FieldName, person: Person, seen: tuple[Residence, ...], on: date
) -> Iterator[Value | None]:
    match field:
        case FieldName.AGE:
            born = person.birth_date
            yield clock.age(born, on=on) if born is not None else None
        case FieldName.BIRTH_DATE:
            yield person.birth_date
        case FieldName.TENURE:
            yield from (residence.tenure for residence in seen)
        case _:
            yield person.codes.get(field)


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


def tags(rule: Rule, pointer: str = "/rule") -> Iterator[tuple[str, str]]:
    """Every tag in the rule at any depth, under `not` as well, with its JSON pointer."""
    match rule:
        case AllOf(rules) | AnyOf(rules):
            key = "all" if isinstance(rule, AllOf) else "any"
            for index, inner in enumerate(rules):
                yield from tags(inner, f"{pointer}/{key}/{index}")
        case Not(inner):
            yield from tags(inner, f"{pointer}/not")
        case HasTag(code):
            yield f"{pointer}/tag", code
        case InArea() | Compare():
            return
