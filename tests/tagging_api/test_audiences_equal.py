"""SQL counts exactly those for whom the plain evaluation holds.

A town of some hundred invented people, with every gap and edge there is: no birth date, born on
29 February or on the very boundary, no code, no place, places past and to come, in two villages.
"""

import random
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.areas import Area, Place
from services.common.clock import latest_birth
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.rules import (
    CODED_OPERATORS,
    ORDERED,
    AllOf,
    AnyOf,
    Compare,
    FieldName,
    HasTag,
    InArea,
    Not,
    Operator,
    Person,
    Residence,
    Rule,
    belongs,
)
from services.tagging_api.models import Resident, ResidentPlace, TagAssignment
from services.tagging_api.repository import audiences

DAYS = (date(2026, 11, 23), date(2027, 2, 28), date(2027, 3, 1), date(2028, 2, 29))
COMPOUNDS = tuple(new_id() for _ in range(4))
VILLAGES = ("510182104001", "510182104006", "510182105001", "510183001001")
GRIDS = tuple(f"{village}00{n}" for village in VILLAGES for n in (1, 2))
TAGS = ("volunteer", "veteran", "elderly")
AREAS = tuple(
    Area.parse(code)
    for code in ("51", "510182", "510182104", *VILLAGES, *GRIDS, *map(str, COMPOUNDS))
)
_CODED = [field for field in FieldName if field not in ORDERED]


def _people(seed: int, size: int) -> list[Person]:
    draw = random.Random(seed)  # noqa: S311 - a town, not a secret

    def birth() -> date | None:
        day = draw.choice(DAYS)
        edge = latest_birth(day, draw.choice((0, 14, 25, 35, 60, 150)))
        return draw.choice(
            (
                None,
                date(draw.choice((1960, 1996, 2000, 2024)), 2, 29),
                edge + timedelta(days=draw.randint(-1, 1)),
                date(1930, 1, 1) + timedelta(days=draw.randint(0, 36_000)),
            )
        )

    def around() -> date | None:
        return draw.choice((None, None, draw.choice(DAYS) + timedelta(days=draw.randint(-1, 1))))

    def residence() -> Residence:
        village = draw.choice(VILLAGES)
        grid = draw.choice((None, *(grid for grid in GRIDS if grid.startswith(village))))
        start, end = around(), around()
        if start and end and end < start:
            start, end = end, start
        tenure = draw.choice((None, "owner", "tenant"))
        compound = draw.choice((None, *COMPOUNDS))
        return Residence(Place(village, grid, compound), tenure, start, end)

    return [
        Person(
            birth_date=birth(),
            codes={
                field: draw.choice((None, *sorted(CODES[field])[:3]))
                for field in _CODED
                if field is not FieldName.TENURE
            },
            tags=frozenset(tag for tag in TAGS if draw.random() < 0.4),
            residences=tuple(residence() for _ in range(draw.choice((0, 1, 1, 1, 2, 3)))),
        )
        for _ in range(size)
    ]


PEOPLE = _people(seed=518, size=400)


@pytest.fixture
async def inhabited(alone: Sessions) -> Sessions:
    residents, places, assignments = [], [], []
    for person in PEOPLE:
        resident_id = new_id()
        codes = {field.value: code for field, code in person.codes.items()}
        residents.append(
            {"id": resident_id, "version": 1, "generation": 1, "birth_date": person.birth_date}
            | codes
        )
        assignments += [_assigned(resident_id, tag) for tag in person.tags]
        places += [
            {
                "resident_id": resident_id,
                "n": n,
                "division_code": each.place.division_code,
                "grid_code": each.place.grid_code,
                "compound_id": each.place.compound_id,
                "tenure": each.tenure,
                "start_date": each.start,
                "end_date": each.end,
            }
            for n, each in enumerate(person.residences)
        ]
    async with alone.write() as session:
        for table, rows in ((Resident, residents), (ResidentPlace, places)):
            await session.execute(sa.insert(table), rows)
        await session.execute(sa.insert(TagAssignment), assignments)
    return alone


def _assigned(resident_id: UUID, tag: str) -> dict[str, object]:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return {"resident_id": resident_id, "tag_code": tag, "source": "worker", "created_at": at}


def _compare(field: FieldName) -> st.SearchStrategy[Rule]:
    if field is FieldName.AGE:
        values: st.SearchStrategy[int | date | str] = st.sampled_from(
            (0, 1, 13, 14, 25, 26, 35, 36, 59, 60, 149, 150)
        ) | st.integers(0, 150)
    elif field is FieldName.BIRTH_DATE:
        known = sorted({person.birth_date for person in PEOPLE if person.birth_date})
        values = st.sampled_from(known)
    else:
        values = st.sampled_from(sorted(CODES[field])[:4])
    ops = sorted(Operator if field in ORDERED else CODED_OPERATORS)

    def operands(op: Operator) -> st.SearchStrategy[tuple[int | date | str, ...]]:
        if op is Operator.BETWEEN:
            return st.tuples(values, values).map(lambda pair: tuple(sorted(pair)))
        if op is Operator.IN:
            return st.lists(values, min_size=1, max_size=6).map(tuple)
        return st.tuples(values)

    return st.sampled_from(ops).flatmap(
        lambda op: operands(op).map(lambda found: Compare(field, op, found))
    )


LEAVES: st.SearchStrategy[Rule] = st.one_of(
    st.sampled_from(TAGS).map(HasTag),
    st.sampled_from(AREAS).map(InArea),
    st.sampled_from(list(FieldName)).flatmap(_compare),
)
RULES: st.SearchStrategy[Rule] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: AllOf(tuple(found))),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: AnyOf(tuple(found))),
    ),
    max_leaves=12,
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    rule=RULES,
    areas=st.lists(st.sampled_from(AREAS), max_size=3).map(tuple),
    on=st.sampled_from(DAYS),
)
async def test_sql_equals_plain_evaluation(
    inhabited: Sessions, rule: Rule, areas: tuple[Area, ...], on: date
) -> None:
    expected = sum(belongs(rule, person, areas=areas, on=on) for person in PEOPLE)
    async with inhabited.read() as session:
        assert await audiences.count(session, rule, areas=areas, on=on) == expected


async def test_every_single_comparison_equals(inhabited: Sessions) -> None:
    """All operators of all fields, at both sides of every boundary, and their complements."""
    county, on = (Area.parse("510182"),), date(2027, 2, 28)
    rules: list[Rule] = []
    for op in Operator:
        for low, high in ((0, 0), (14, 25), (25, 35), (150, 150)):
            several = op in {Operator.BETWEEN, Operator.IN}
            rules.append(Compare(FieldName.AGE, op, (low, high) if several else (low,)))
    rules.append(Compare(FieldName.AGE, Operator.IN, tuple(range(0, 151, 2))))
    rules.append(Compare(FieldName.AGE, Operator.IN, (36, 24, 25, 26, 24, 60, 0)))
    rules += [
        Compare(field, op, tuple(sorted(CODES[field])[: 2 if op is Operator.IN else 1]))
        for field in _CODED
        for op in sorted(CODED_OPERATORS)
    ]
    async with inhabited.read() as session:
        for plain in rules:
            for rule in (plain, Not(plain), Not(Not(plain))):
                expected = sum(belongs(rule, person, areas=county, on=on) for person in PEOPLE)
                found = await audiences.count(session, rule, areas=county, on=on)
                assert found == expected, rule
