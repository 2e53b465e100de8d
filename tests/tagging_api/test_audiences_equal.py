"""SQL finds exactly those whom the plain evaluation finds."""

from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.areas import Area
from services.common.database import ReadSession, Sessions
from services.tagging_api.domain import evaluation
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.rules import (
    CODED_OPERATORS,
    DAYS_OPERATORS,
    Compare,
    Days,
    FieldName,
    HasTag,
    InAudience,
    Not,
    Operator,
    RelativeDay,
    Rule,
    chosen,
    first_of,
    mix,
)
from services.tagging_api.models import Resident
from services.tagging_api.repository import audiences
from services.tagging_api.repository.comparisons import mixed
from tests.tagging_api import rule_strategies
from tests.tagging_api.rule_strategies import CODED, FROZEN, Population, population, settle

VIEWS = st.lists(
    st.tuples(rule_strategies.areas, st.sampled_from(rule_strategies.DAYS)), min_size=2, max_size=2
)
COUNTY = (Area.parse("510182"),)


async def found(
    session: ReadSession, rule: Rule, areas: tuple[Area, ...], on: date
) -> frozenset[int]:
    numbers = sa.select(Resident.number).where(audiences.belongs(rule, areas, on))
    return frozenset((await session.scalars(numbers)).all())


def expected(town: Population, rule: Rule, areas: tuple[Area, ...], on: date) -> frozenset[int]:
    return evaluation.members(rule, town.people, areas=areas, on=on, frozen=town.frozen)


@pytest.fixture(params=range(6))
async def town(request: pytest.FixtureRequest, alone: Sessions) -> Population:
    made = population(request.param, size=120)
    async with alone.write() as session:
        await settle(session, made)
    return made


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
async def test_sql_equals_plain_evaluation(
    alone: Sessions, town: Population, data: st.DataObject
) -> None:
    rule = data.draw(rule_strategies.rules(town))
    views = data.draw(VIEWS)
    async with alone.read() as session:
        for areas, on in views:
            assert await found(session, rule, areas, on) == expected(town, rule, areas, on)


@pytest.mark.parametrize("town", [518], indirect=True)
async def test_every_single_comparison_equals(alone: Sessions, town: Population) -> None:
    """All operators of all fields, at both sides of every boundary, and their complements."""
    on = date(2027, 2, 28)
    rules: list[Rule] = []
    for op in Operator:
        several = op in {Operator.BETWEEN, Operator.IN}
        for low, high in ((0, 0), (14, 25), (25, 35), (150, 150)):
            rules.append(Compare(FieldName.AGE, op, (low, high) if several else (low,)))
        for days in (-1, 0, 30):
            bounds = (RelativeDay(-1), RelativeDay(days)) if several else (RelativeDay(days),)
            rules.append(Compare(FieldName.LEASE_END_DATE, op, bounds))
        for size in (1, 2, 3):
            sizes = (2, size) if several else (size,)
            rules.append(Compare(FieldName.HOUSEHOLD_SIZE, op, sizes))
        if op in DAYS_OPERATORS:
            values = (7, 30) if several else (30,)
            rules.append(HasTag("veteran", days=Days(op, values)))
    rules.append(Compare(FieldName.AGE, Operator.IN, tuple(range(0, 151, 2))))
    rules.append(Compare(FieldName.AGE, Operator.IN, (36, 24, 25, 26, 24, 60, 0)))
    rules += [Compare(FieldName.LIVES_ALONE, Operator.EQ, (alone_,)) for alone_ in (True, False)]
    rules += [HasTag("elderly", source) for source in rule_strategies.SOURCES]
    rules += [
        Compare(name, op, tuple(sorted(CODES[name])[: 2 if op is Operator.IN else 1]))
        for name in (*CODED, FieldName.TENURE)
        for op in sorted(CODED_OPERATORS)
    ]
    async with alone.read() as session:
        for plain in rules:
            for rule in (plain, Not(plain), Not(Not(plain))):
                numbers = expected(town, rule, COUNTY, on)
                assert await found(session, rule, COUNTY, on) == numbers, rule


async def test_the_hash_is_one_in_python_and_in_sql(alone: Sessions) -> None:
    numbers = [0, 1, 2, 65_535, 65_536, 8_700_000, 2**31 - 1]
    async with alone.read() as session:
        for seed in (0, 1, 7, 2**31 - 1):
            said = [
                await session.scalar(sa.select(mixed(sa.literal(number), seed)))
                for number in numbers
            ]
            assert said == [mix(number, seed) for number in numbers]


def test_a_sample_is_spread_and_depends_on_its_seed() -> None:
    numbers = range(1, 100_001)
    tenth = [n for n in numbers if chosen(n, basis_points=1_000, seed=7)]
    assert 9_500 < len(tenth) < 10_500
    # As many in each tenth of the numbers.
    for start in range(0, 100_000, 10_000):
        assert 800 < sum(start < n <= start + 10_000 for n in tenth) < 1_200
    other = {n for n in numbers if chosen(n, basis_points=1_000, seed=8)}
    assert len(other & set(tenth)) < 1_300
    # All of them; and a smaller sample is part of a larger one.
    assert all(chosen(n, basis_points=10_000, seed=7) for n in numbers)
    assert set(first_of(numbers, n=200, seed=7)) <= set(first_of(numbers, n=300, seed=7))


async def test_an_audience_must_be_resolved_before(alone: Sessions) -> None:
    async with alone.read() as session:
        with pytest.raises(ValueError, match="not resolved"):
            await audiences.count(
                session, Not(InAudience(FROZEN[0])), areas=COUNTY, on=date(2027, 2, 28)
            )
    with pytest.raises(ValueError, match="not resolved"):
        evaluation.members(InAudience(FROZEN[0]), [], areas=COUNTY, on=date(2027, 2, 28))
