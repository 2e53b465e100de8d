"""Figures say what counting each of their parts says."""

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.areas import VILLAGE_LENGTH, Area, AreaKind
from services.tagging_api.domain import figures
from services.tagging_api.domain.bitmaps import Index, View
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
)
from tests.tagging_api import rule_strategies
from tests.tagging_api.rule_strategies import DAYS, TAGS
from tests.tagging_api.test_index import Living, living  # noqa: F401 - a fixture

_LEVELS = (
    (AreaKind.DIVISION, 9),
    (AreaKind.DIVISION, VILLAGE_LENGTH),
    (AreaKind.GRID, None),
    (AreaKind.COMPOUND, None),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data(), areas=rule_strategies.areas)
async def test_every_part_is_a_count(
    living: Living,  # noqa: F811
    data: st.DataObject,
    areas: tuple[Area, ...],
) -> None:
    on = DAYS[0]
    plain = st.sampled_from((HasTag("veteran"), Not(HasTag("elderly")), InArea(Area.parse("51"))))
    rule: Rule = data.draw(plain)
    index = living.index.bitmaps
    assert index is not None
    view = View(index, areas=areas, on=on)
    members = view.found(rule)

    def count(*rules: Rule) -> int:
        return len(living.expected(AllOf((rule, *rules)), areas, on))

    for kind, length in _LEVELS:
        found = figures.by_area(view, members, kind, length=length, tags=TAGS)
        keys = [figure.key for figure in found]
        assert keys == sorted(_areas_seen(living, kind, length, areas, on))
        for figure in found:
            here = InArea(Area.parse(figure.key or ""))
            assert figure.count == count(here)
            assert figure.tags == tuple(count(here, HasTag(tag)) for tag in TAGS)
    for figure in figures.by_sex(view, members, tags=TAGS):
        if figure.key is not None:
            sex = Compare(FieldName.SEX, Operator.EQ, (figure.key,))
            assert figure.count == count(sex)
            assert figure.tags[0] == count(sex, HasTag(TAGS[0]))
    bands = figures.by_age_band(view, members, tags=())
    for (low, high), figure in zip(figures.AGE_BANDS, bands, strict=False):
        assert figure.key == figures.band_key(low, high)
        assert figure.count == count(Compare(FieldName.AGE, Operator.BETWEEN, (low, high)))
    assert sum(figure.count for figure in bands) == len(members)
    assert sum(each.count for each in figures.by_sex(view, members, tags=())) == len(members)
    by_tag = figures.by_tag(view, members, TAGS)
    assert [figure.count for figure in by_tag] == [count(HasTag(tag)) for tag in TAGS]


def _areas_seen(
    living: Living,  # noqa: F811
    kind: AreaKind,
    length: int | None,
    areas: tuple[Area, ...],
    on: date,
) -> set[str]:
    places = [
        residence.place
        for person in living.people.people
        for residence in person.residences
        if residence.current(on) and residence.place.within(areas)
    ]
    match kind:
        case AreaKind.DIVISION:
            return {place.division_code[:length] for place in places}
        case AreaKind.GRID:
            return {place.grid_code for place in places if place.grid_code}
        case AreaKind.COMPOUND:
            return {str(place.compound_id) for place in places if place.compound_id}


async def test_an_overlap_is_a_count_of_both(living: Living) -> None:  # noqa: F811
    on, areas = DAYS[0], (Area.parse("510182"),)
    rules: list[Rule] = [
        HasTag("veteran"),
        Not(HasTag("veteran")),
        AnyOf((HasTag("volunteer"), HasTag("elderly"))),
        Compare(FieldName.AGE, Operator.GTE, (60,)),
    ]
    index = living.index.bitmaps
    assert index is not None
    view = View(index, areas=areas, on=on)
    counts = figures.overlap([view.found(rule) for rule in rules])
    assert counts == [
        [len(living.expected(AllOf((one, other)), areas, on)) for other in rules] for one in rules
    ]
    assert counts[0][1] == 0 < counts[0][0]


@pytest.mark.parametrize("places", [()])
def test_of_nobody_there_is_nothing(places: tuple[Area, ...]) -> None:
    view = View(Index(DAYS[0]), areas=places, on=DAYS[0])
    members = view.found(HasTag("veteran"))
    kind = AreaKind.DIVISION
    assert figures.by_area(view, members, kind, length=9, tags=TAGS) == []
    assert figures.by_sex(view, members, tags=TAGS) == []
