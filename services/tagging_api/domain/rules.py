"""What a rule means: the tree.

Three engines evaluate it and are proved equal: SQL (`repository.audiences`), the truth; bitmaps
(`domain.bitmaps`), which answer; and a plain one for the proof (`domain.evaluation`).

- A person belongs to an audience if at least one current place lies within the caller's areas and
  the rule holds. Places outside are not seen at all: no rule looks at them.
- A comparison with an unknown value is false; `not` is the plain complement of what it contains,
  so it does hold for people whose value is unknown.
- `area` and the fields of a place hold if they hold for at least one of the places seen.
- A sample is drawn from those its rule finds, as the caller sees them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

from services.common.areas import Area

MAX_DEPTH = 16
MAX_NODES = 200
MAX_AGE = 150
MAX_HOUSEHOLD = 99
# Days that a rule may look back or ahead: a century and a half.
MAX_DAYS = 55_000
MAX_VALUES = 100
MAX_SAMPLE = 1_000_000
MAX_SEED = 2**31 - 1
WHOLE = 10_000  # basis points


class FieldName(StrEnum):
    """What a rule may compare: of the person, or (`OF_PLACE`) of a place where somebody lives."""

    AGE = "age"
    SEX = "sex"
    BIRTH_DATE = "birth_date"
    POPULATION_TYPE = "population_type"
    ETHNICITY = "ethnicity"
    EDUCATION = "education"
    MARITAL_STATUS = "marital_status"
    POLITICAL_STATUS = "political_status"
    TENURE = "tenure"
    HOUSEHOLD_SIZE = "household_size"
    LIVES_ALONE = "lives_alone"
    LEASE_END_DATE = "lease_end_date"


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    IN = "in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"


OF_PLACE = frozenset(
    {
        FieldName.TENURE,
        FieldName.HOUSEHOLD_SIZE,
        FieldName.LIVES_ALONE,
        FieldName.LEASE_END_DATE,
    }
)
DATES = frozenset({FieldName.BIRTH_DATE, FieldName.LEASE_END_DATE})
ORDERED = DATES | {FieldName.AGE, FieldName.HOUSEHOLD_SIZE}
CODED_OPERATORS = frozenset({Operator.EQ, Operator.NE, Operator.IN})
DAYS_OPERATORS = frozenset(Operator) - {Operator.NE, Operator.IN}


def operators(name: FieldName) -> frozenset[Operator]:
    """The operators that a field takes."""
    if name in ORDERED:
        return frozenset(Operator)
    return frozenset({Operator.EQ}) if name is FieldName.LIVES_ALONE else CODED_OPERATORS


@dataclass(frozen=True, slots=True)
class RelativeDay:
    """So many days from the day on which the rule is asked; negative ones have passed."""

    days: int

    def on(self, today: date) -> date:
        return today + timedelta(days=self.days)


Value = int | date | str | bool | RelativeDay


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
class Days:
    """A number of whole days compared with one value, or two (between, both ends included)."""

    op: Operator
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HasTag:
    """Bears the tag, by an assignment that is valid today.

    `source` asks who gave it, `days` how many calendar days (Shanghai) ago.
    """

    code: str
    source: str | None = None
    days: Days | None = None


@dataclass(frozen=True, slots=True)
class InArea:
    area: Area


@dataclass(frozen=True, slots=True)
class Compare:
    """`values` holds one value, two (between, both ends included) or several (in).

    Ages and household sizes are ints, dates are dates or relative days, `lives_alone` is a bool,
    everything else codes.
    """

    field: FieldName
    op: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of those whom `rule` finds, the same ones for the same seed.

    Either `n` of them (all, if there are fewer) or each with a chance of `basis_points`.
    """

    rule: "Rule"
    n: int | None
    basis_points: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class InAudience:
    """A saved audience. No engine knows it: it is resolved before anything is evaluated."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Members:
    """Those written down when an audience was frozen. Only resolving makes one."""

    audience_id: UUID


@dataclass(frozen=True, slots=True)
class AsSeenFrom:
    """Those whom a caller with `areas` would find by `rule`. Only resolving makes one.

    A saved audience means the same people whoever uses it: a sample is drawn from its owner's
    areas, and places outside of them say nothing.
    """

    areas: tuple[Area, ...]
    rule: "Rule"


Rule = AllOf | AnyOf | Not | HasTag | InArea | Compare | Sample | InAudience | Members | AsSeenFrom


def resolved_day(value: Value, on: date) -> int | date | str | bool:
    """The value on a day: relative days become dates, all others are themselves."""
    return value.on(on) if isinstance(value, RelativeDay) else value


def mix(number: int, seed: int) -> int:
    """A 32-bit hash of a resident's number: what decides a sample, equally in every engine."""
    x = number ^ (seed * _MIXER & _BITS)
    for _ in range(2):
        x = ((x >> 16) ^ x) * _MIXER & _BITS
    return (x >> 16) ^ x


_MIXER = 0x45D9F3B
_BITS = 0xFFFFFFFF


def chosen(number: int, *, basis_points: int, seed: int) -> bool:
    """Whether a sample of so many basis points has the resident of that number."""
    return mix(number, seed) * WHOLE < basis_points << 32


def first_of(numbers: Iterable[int], *, n: int, seed: int) -> list[int]:
    """The `n` residents that a sample of that size has."""
    return sorted(numbers, key=lambda number: (mix(number, seed), number))[:n]


def nodes(rule: Rule, pointer: str = "/rule") -> Iterator[tuple[str, Rule]]:
    """Every rule within the rule, itself first, with its JSON pointer."""
    yield pointer, rule
    match rule:
        case AllOf(rules) | AnyOf(rules):
            key = "all" if isinstance(rule, AllOf) else "any"
            for index, inner in enumerate(rules):
                yield from nodes(inner, f"{pointer}/{key}/{index}")
        case Not(inner):
            yield from nodes(inner, f"{pointer}/not")
        case Sample(inner):
            yield from nodes(inner, f"{pointer}/sample/rule")
        case AsSeenFrom(_, inner):
            # Stands where the audience was named.
            yield from nodes(inner, pointer)
        case HasTag() | InArea() | Compare() | InAudience() | Members():
            return


def tags(rule: Rule, pointer: str = "/rule") -> Iterator[tuple[str, str]]:
    """Every tag in the rule at any depth, under `not` as well, with its JSON pointer."""
    for at, node in nodes(rule, pointer):
        if isinstance(node, HasTag):
            yield f"{at}/tag", node.code


def audiences(rule: Rule, pointer: str = "/rule") -> Iterator[tuple[str, UUID]]:
    """Every saved audience named in the rule, with its JSON pointer."""
    for at, node in nodes(rule, pointer):
        if isinstance(node, InAudience):
            yield f"{at}/audience", node.id


def depth(rule: Rule) -> int:
    """How many rules are within each other at most."""
    match rule:
        case AllOf(rules) | AnyOf(rules):
            return 1 + max(map(depth, rules), default=0)
        case Not(inner) | Sample(inner) | AsSeenFrom(_, inner):
            return 1 + depth(inner)
        case HasTag() | InArea() | Compare() | InAudience() | Members():
            return 1
