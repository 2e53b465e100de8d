"""Invented people with every gap and edge there is, and random rules about them.

No birth date, born on 29 February or on the very boundary of an age, no code, no place, places past
and to come, shared and unknown dwellings, labels that no longer or do not yet count, numbers that
lie apart: `population(seed)` makes some hundred such people, `rules(population)` asks about them.
"""

import functools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st

from services.common.areas import Area, Place
from services.common.clock import SHANGHAI, latest_birth
from services.common.database import WriteSession
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.evaluation import Assignment, Person, Residence
from services.tagging_api.domain.rules import (
    DAYS_OPERATORS,
    WHOLE,
    AllOf,
    AnyOf,
    AsSeenFrom,
    Compare,
    Days,
    FieldName,
    HasTag,
    InArea,
    Members,
    Not,
    Operator,
    RelativeDay,
    Rule,
    Sample,
    Value,
    operators,
)
from services.tagging_api.models import AudienceMember, ResidentPlace, TagAssignment

DAYS = (date(2026, 11, 23), date(2027, 2, 28), date(2027, 3, 1), date(2028, 2, 29))
COMPOUNDS = tuple(UUID(int=n) for n in range(1, 5))
VILLAGES = ("510182104001", "510182104006", "510182105001", "510183001001")
GRIDS = tuple(f"{village}00{n}" for village in VILLAGES for n in (1, 2))
TAGS = ("volunteer", "veteran", "elderly")
SOURCES = ("worker", "ledger", "rule")
FROZEN = (UUID(int=101), UUID(int=102))
AREAS = tuple(
    Area.parse(code)
    for code in ("51", "510182", "510182104", *VILLAGES, *GRIDS, *map(str, COMPOUNDS))
)
CODED = [name for name in CODES if name is not FieldName.TENURE]

_RESIDENT = sa.text("""
INSERT INTO resident (
    id, number, version, generation, birth_date, sex, population_type, ethnicity, education,
    marital_status, political_status
) OVERRIDING SYSTEM VALUE VALUES (
    :id, :number, 1, 1, :birth_date, :sex, :population_type, :ethnicity, :education,
    :marital_status, :political_status
)
""").bindparams(sa.bindparam("id", type_=sa.Uuid), sa.bindparam("birth_date", type_=sa.Date))


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Everybody there is, and who was in the frozen audiences."""

    people: tuple[Person, ...]
    frozen: Mapping[UUID, frozenset[int]]


@functools.cache
def population(seed: int, *, size: int = 250) -> Population:
    """The same people for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - a town, not a secret
    numbers = draw.sample(range(1, 20 * size), size)
    dwellings = [UUID(int=1000 + n) for n in range(max(2, size // 3))]
    people = tuple(_person(number, draw, dwellings) for number in numbers)
    frozen = {each: frozenset(draw.sample(numbers, size // 3)) for each in FROZEN}
    return Population(people, frozen)


def resident_id(number: int) -> UUID:
    """The id of the resident of a number, in no order that follows it."""
    return UUID(int=number * 0x9E3779B97F4A7C15 % 2**64 << 32 | number)


async def settle(session: WriteSession, town: Population) -> None:
    """Write everybody into empty tables."""
    await session.execute(
        _RESIDENT,
        [
            {
                "id": resident_id(person.number),
                "number": person.number,
                "birth_date": person.birth_date,
                **{name.value: person.codes[name] for name in CODED},
            }
            for person in town.people
        ],
    )
    places = [
        {
            "resident_id": resident_id(person.number),
            "n": n,
            "division_code": each.place.division_code,
            "grid_code": each.place.grid_code,
            "compound_id": each.place.compound_id,
            "tenure": each.tenure,
            "start_date": each.start,
            "end_date": each.end,
            "dwelling_id": each.dwelling_id,
            "lease_end_date": each.lease_end,
        }
        for person in town.people
        for n, each in enumerate(person.residences)
    ]
    given = [
        {
            "resident_id": resident_id(person.number),
            "tag_code": tag,
            "source": each.source,
            # The first or the last moment of the day.
            "created_at": datetime.combine(
                each.day, time.max if person.number % 2 else time.min, SHANGHAI
            ),
            "valid_from": each.valid_from,
            "valid_until": each.valid_until,
        }
        for person in town.people
        for tag, assignments in person.tags.items()
        for each in assignments
    ]
    members = [
        {"audience_id": audience_id, "resident_id": resident_id(number)}
        for audience_id, numbers in town.frozen.items()
        for number in numbers
    ]
    for table, rows in (
        (ResidentPlace, places),
        (TagAssignment, given),
        (AudienceMember, members),
    ):
        if rows:
            await session.execute(sa.insert(table), rows)


def _person(number: int, draw: random.Random, dwellings: Sequence[UUID]) -> Person:
    return Person(
        number=number,
        birth_date=_birth(draw),
        codes={name: draw.choice((None, *sorted(CODES[name])[:3])) for name in CODED},
        tags={
            tag: tuple(
                _assignment(source, draw)
                for source in draw.sample(SOURCES, draw.choice((1, 1, 1, 2, 3)))
            )
            for tag in TAGS
            if draw.random() < 0.5
        },
        residences=tuple(
            # Twice in the same dwelling, too.
            _residence(draw, homes)
            for homes in [draw.sample(dwellings, 2)]
            for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 3)))
        ),
    )


def _birth(draw: random.Random) -> date | None:
    edge = latest_birth(draw.choice(DAYS), draw.choice((0, 14, 25, 35, 60, 150)))
    return draw.choice(
        (
            None,
            date(draw.choice((1960, 1996, 2000, 2024)), 2, 29),
            edge + timedelta(days=draw.randint(-1, 1)),
            date(1930, 1, 1) + timedelta(days=draw.randint(0, 36_000)),
        )
    )


def _around(draw: random.Random) -> date:
    return draw.choice(DAYS) + timedelta(days=draw.randint(-1, 1))


def _period(draw: random.Random) -> tuple[date | None, date | None]:
    start, end = (draw.choice((None, None, _around(draw))) for _ in range(2))
    return (end, start) if start and end and end < start else (start, end)


def _assignment(source: str, draw: random.Random) -> Assignment:
    day = _around(draw) - timedelta(days=draw.choice((0, 1, 7, 30, 400)))
    return Assignment(source, day, *_period(draw))


def _residence(draw: random.Random, dwellings: Sequence[UUID]) -> Residence:
    village = draw.choice(VILLAGES)
    grid = draw.choice((None, *(grid for grid in GRIDS if grid.startswith(village))))
    start, end = _period(draw)
    lease_end = draw.choice((None, _around(draw), _around(draw) + timedelta(days=30)))
    return Residence(
        Place(village, grid, draw.choice((None, *COMPOUNDS))),
        tenure=draw.choice((None, "owner", "tenant")),
        start=start,
        end=end,
        dwelling_id=draw.choice((None, *[draw.choice(dwellings)] * 4)),
        lease_end=lease_end,
    )


areas: st.SearchStrategy[tuple[Area, ...]] = st.lists(st.sampled_from(AREAS), max_size=3).map(tuple)


_SOME_AREAS = st.lists(st.sampled_from(AREAS), min_size=1, max_size=3).map(tuple)
_BASIS_POINTS = st.sampled_from((2_500, 5_000, 9_999, WHOLE)) | st.integers(1, WHOLE)
_SEEDS = st.sampled_from((0, 1, 7, 2**31 - 1)) | st.integers(0, 2**31 - 1)


def _days() -> st.SearchStrategy[Days]:
    value = st.sampled_from((0, 1, 2, 7, 29, 30, 31, 90, 400)) | st.integers(0, 500)

    def of(op: Operator) -> st.SearchStrategy[Days]:
        values = st.lists(value, min_size=1, max_size=1)
        if op is Operator.BETWEEN:
            values = st.lists(value, min_size=2, max_size=2).map(sorted)
        return values.map(lambda found: Days(op, tuple(found)))

    return st.sampled_from(sorted(DAYS_OPERATORS)).flatmap(of)


def comparisons(name: FieldName, town: Population) -> st.SearchStrategy[Rule]:
    """Any operator of a field with values that somebody has or almost has."""
    match name:
        case FieldName.AGE:
            values: st.SearchStrategy[Value] = st.sampled_from(
                (0, 1, 13, 14, 25, 26, 35, 36, 59, 60, 149, 150)
            ) | st.integers(0, 150)
        case FieldName.HOUSEHOLD_SIZE:
            values = st.integers(1, 6)
        case FieldName.LIVES_ALONE:
            values = st.booleans()
        case FieldName.BIRTH_DATE:
            known = sorted({person.birth_date for person in town.people if person.birth_date})
            values = st.sampled_from(known) | st.integers(-20_000, 1).map(RelativeDay)
        case FieldName.LEASE_END_DATE:
            values = st.sampled_from(DAYS) | st.integers(-400, 400).map(RelativeDay)
        case _:
            values = st.sampled_from(sorted(CODES[name])[:4])

    def operands(op: Operator) -> st.SearchStrategy[tuple[Value, ...]]:
        if op is Operator.BETWEEN:
            return st.tuples(values, values)  # upside down as well: nobody is in between
        if op is Operator.IN:
            return st.lists(values, min_size=1, max_size=6).map(tuple)
        return st.tuples(values)

    return st.sampled_from(sorted(operators(name))).flatmap(
        lambda op: operands(op).map(lambda found: Compare(name, op, found))
    )


@functools.cache  # strategies are slow to build
def rules(town: Population, depth: int = 4) -> st.SearchStrategy[Rule]:
    """Resolved rules of every kind, none of them rare."""
    found = _leaves(town)
    for _ in range(depth):
        found = _combined(found, _leaves(town))
    return found


def _leaves(town: Population) -> st.SearchStrategy[Rule]:
    return _one_kind_of(
        st.builds(
            HasTag,
            st.sampled_from(TAGS),
            st.none() | st.sampled_from(SOURCES),
            st.none() | _days(),
        ),
        st.sampled_from(TAGS).map(HasTag),
        st.sampled_from(AREAS).map(InArea),
        st.sampled_from(sorted(town.frozen)).map(Members),
        *(comparisons(name, town) for name in FieldName),
    )


def _combined(
    inner: st.SearchStrategy[Rule], leaves: st.SearchStrategy[Rule]
) -> st.SearchStrategy[Rule]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return _one_kind_of(
        leaves,
        leaves,
        inner.map(Not),
        several.map(AllOf),
        several.map(AnyOf),
        st.builds(Sample, inner, st.integers(1, 60), st.none(), _SEEDS),
        st.builds(Sample, inner, st.none(), _BASIS_POINTS, _SEEDS),
        st.builds(AsSeenFrom, _SOME_AREAS, inner),
    )


def _one_kind_of(*kinds: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    # Of what `one_of` is offered, examples are mostly of one kind.
    return st.sampled_from(range(len(kinds))).flatmap(kinds.__getitem__)
