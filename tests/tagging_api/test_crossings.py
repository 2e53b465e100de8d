"""Nobody for whom a day changes anything is outside of what is looked at that night."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.areas import Area, Place
from services.tagging_api.domain.crossings import Crossings, Stretch, crossings
from services.tagging_api.domain.evaluation import Assignment, Person, Residence, members
from services.tagging_api.domain.rules import (
    DAYS_OPERATORS,
    AllOf,
    AnyOf,
    Compare,
    Days,
    FieldName,
    HasTag,
    Not,
    Operator,
    RelativeDay,
    Rule,
)

EVERYWHERE = (Area.parse("51"),)
HERE = Place("510182104006")
days = st.dates(date(2023, 12, 25), date(2028, 3, 5))
ages = st.integers(0, 4)


def _operands(values: st.SearchStrategy[Any], op: Operator) -> st.SearchStrategy[tuple[Any, ...]]:
    size = {Operator.BETWEEN: (2, 2), Operator.IN: (1, 4)}.get(op, (1, 1))
    return st.lists(values, min_size=size[0], max_size=size[1]).map(tuple)


def _compared(name: FieldName, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Rule]:
    return st.sampled_from(list(Operator)).flatmap(
        lambda op: _operands(values, op).map(lambda found: Compare(name, op, found))
    )


_relative = st.integers(-1500, 40).map(RelativeDay)
_given = st.sampled_from(sorted(DAYS_OPERATORS)).flatmap(
    lambda op: _operands(st.integers(0, 5), op).map(
        lambda found: HasTag("a", None, Days(op, tuple(sorted(found))))
    )
)
_leaves: st.SearchStrategy[Rule] = st.one_of(
    _compared(FieldName.AGE, ages),
    _compared(FieldName.BIRTH_DATE, _relative | days),
    _compared(FieldName.LEASE_END_DATE, _relative | days),
    _given,
)
rules = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.tuples(inner, inner).map(AllOf),
        st.tuples(inner, inner).map(AnyOf),
    ),
    max_leaves=4,
)


def _is_looked_at(person: Person, found: Crossings) -> bool:
    given_on = [each.day for each in person.tags.get("a", ())]
    leases = [each.lease_end for each in person.residences if each.lease_end]
    pairs = (
        ([person.birth_date] if person.birth_date else [], found.births),
        (leases, found.leases),
        (given_on, found.given.get("a", ())),
    )
    return any(
        stretch.after < day <= stretch.until
        for of, stretches in pairs
        for day in of
        for stretch in stretches
    )


@settings(max_examples=800, deadline=None, derandomize=True)
@given(
    rule=rules,
    born=st.none() | days,
    lease_end=st.none() | days,
    given_on=days,
    after=days,
    passed=st.integers(1, 45),
)
def test_whoever_crosses_is_looked_at(
    rule: Rule,
    born: date | None,
    lease_end: date | None,
    given_on: date,
    after: date,
    passed: int,
) -> None:
    until = after + timedelta(days=passed)
    residence = Residence(HERE, lease_end=lease_end)
    tags = {"a": (Assignment("worker", given_on),)}
    person = Person(number=1, birth_date=born, codes={}, tags=tags, residences=(residence,))
    then, later = (members(rule, [person], areas=EVERYWHERE, on=on) for on in (after, until))
    if then != later:
        assert _is_looked_at(person, crossings(rule, after=after, until=until))


def test_a_night_looks_at_one_birthday_and_not_at_all() -> None:
    rule = Compare(FieldName.AGE, Operator.GTE, (80,))
    day = date(2027, 2, 28)
    assert crossings(rule, after=day - timedelta(days=1), until=day).births == (
        Stretch(date(1947, 2, 27), date(1947, 2, 28)),
    )
    # Those born on 29 February turn 80 on that day in a leap year, else on 1 March.
    assert crossings(
        Compare(FieldName.AGE, Operator.EQ, (3,)), after=day, until=day + timedelta(days=1)
    ).births == (
        Stretch(date(2023, 2, 28), date(2023, 3, 1)),
        Stretch(date(2024, 2, 28), date(2024, 3, 1)),
    )
    nothing = crossings(Compare(FieldName.SEX, Operator.EQ, ("male",)), after=day, until=date.max)
    assert nothing == Crossings((), (), {}, frozenset())
