"""Areas contain each other, in Python and in SQL alike."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.common import areas
from services.common.areas import Area, AreaKind, Place, place_of, prefix_range
from services.common.database import Code
from tests.houses import App

# Few digits, so that codes often contain each other; 9 and 0 stand at the ends of a range.
digits = st.sampled_from("019")


def code(length: int) -> st.SearchStrategy[str]:
    return st.text(digits, min_size=length, max_size=length)


compounds = st.sampled_from([UUID(int=n) for n in range(1, 4)])
divisions = st.sampled_from(sorted(areas.DIVISION_LENGTHS)).flatmap(code)
some_area = st.one_of(divisions, code(15), compounds.map(str)).map(Area.parse)


@st.composite
def some_place(draw: st.DrawFn) -> Place:
    village = draw(code(12))
    grid = village + draw(code(3)) if draw(st.booleans()) else None
    return Place(village, grid, draw(st.none() | compounds))


@pytest.mark.parametrize(
    ("text", "kind"),
    [("51", AreaKind.DIVISION), ("5101", AreaKind.DIVISION), ("510182", AreaKind.DIVISION),
     ("510182104", AreaKind.DIVISION), ("510182104006", AreaKind.DIVISION),
     ("510182104006001", AreaKind.GRID), (str(UUID(int=7)), AreaKind.COMPOUND)],
)  # fmt: skip
def test_what_is_an_area(text: str, kind: AreaKind) -> None:
    area = Area.parse(text)
    assert (area.kind, area.code, str(area)) == (kind, text, text)


@pytest.mark.parametrize(
    "text",
    ["", "5", "510", "51018", "5101821", "51018210400", "5101821040060", "5101821040060012", "5a",
     "51 ", " 51", "51\n", "-1", "+5", "5.", "５１", "٥١", "²²", "%%", "51%", "5_1", "\x00\x00",
     "g" * 36, "-" * 36, UUID(int=7).hex, "{" + UUID(int=7).hex + "}", "1" * 10_000, "\ud800"],
)  # fmt: skip
def test_what_is_no_area(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - UUID has its own words
        Area.parse(text)


@given(st.text(max_size=40) | st.text("0123456789abcdefABCDEF-{}:urnid_", min_size=36, max_size=36))
@example("urn:" + UUID(int=7).hex)
@example(str(UUID(int=7)).replace("0", "A").upper())
def test_an_area_has_one_way_to_be_written(text: str) -> None:
    try:
        area = Area.parse(text)
    except ValueError:
        return
    assert Area.parse(area.code) == area
    assert area.code == area.code.lower()


@given(code(12), st.sampled_from([2, 4, 6, 9, 12]))
def test_a_division_contains_all_that_begin_with_it(village: str, length: int) -> None:
    area = Area.parse(village[:length])
    assert Place(village).within([area])
    lower, upper = prefix_range(area.code)
    assert lower <= village < upper


@given(divisions, code(12))
def test_a_range_holds_exactly_what_begins_with_its_code(prefix: str, other: str) -> None:
    lower, upper = prefix_range(prefix)
    assert (lower <= other < upper) == other.startswith(prefix)


@given(some_area, some_area, some_area)
def test_containing_is_an_order(one: Area, two: Area, three: Area) -> None:
    def inside(inner: Area, outer: Area) -> bool:
        return place_of(inner, village_code="000000000000").within([outer])

    assert inside(one, one)
    if inside(one, two) and inside(two, three):
        # A compound's place is its village: what contains that contains it.
        assert inside(one, three) or one.kind is AreaKind.COMPOUND
    if inside(one, two) and inside(two, one):
        assert one == two


def test_nothing_lies_within_no_area() -> None:
    assert not Place("510182104006").within([])


def test_a_compound_of_an_unknown_village_lies_in_no_division() -> None:
    compound = Area.parse(str(UUID(int=7)))
    assert not place_of(compound).within([Area.parse("51")])
    assert place_of(compound).within([compound])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    places=st.lists(some_place(), min_size=1, max_size=12),
    within=st.lists(some_area, max_size=4),
)
async def test_sql_says_what_python_says(
    board: App, places: list[Place], within: list[Area]
) -> None:
    rows = sa.values(
        sa.column("n", sa.Integer),
        sa.column("division", Code),
        sa.column("grid", Code),
        sa.column("compound", sa.Uuid),
        name="place",
    ).data([(n, p.division_code, p.grid_code, p.compound_id) for n, p in enumerate(places)])
    division = sa.collate(sa.cast(rows.c.division, sa.Text), "C")
    grid = sa.cast(rows.c.grid, sa.Text)
    compound = sa.cast(rows.c.compound, sa.Uuid)

    async def found(**columns: Any) -> set[int]:
        condition = areas.within(within, division=division, **columns)
        async with board.state["sessions"].read() as session:
            return set(await session.scalars(sa.select(rows.c.n).where(condition)))

    def expected(*kinds: AreaKind) -> set[int]:
        asked = [area for area in within if area.kind in kinds]
        return {n for n, place in enumerate(places) if place.within(asked)}

    assert await found(grid=grid, compound=compound) == expected(*AreaKind)
    assert await found(grid=grid) == expected(AreaKind.DIVISION, AreaKind.GRID)
    assert await found() == expected(AreaKind.DIVISION)
