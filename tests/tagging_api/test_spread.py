"""Visits are spread as evenly as areas allow."""

from itertools import product
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.areas import Area, Place
from services.tagging_api.domain.visits import Worker, spread

VILLAGE = "510182104006"
GRIDS = [f"{VILLAGE}{n:03}" for n in range(1, 5)]


def worker(n: int, *areas: str, load: int = 0) -> Worker:
    return Worker(UUID(int=n), tuple(Area.parse(area) for area in areas), load)


def place(grid: str) -> Place:
    return Place(grid[:12], grid_code=grid)


def counts(found: list[UUID | None], workers: list[Worker]) -> list[int]:
    return [each.load + found.count(each.account) for each in workers]


def test_two_share_one_area_and_keep_theirs_together() -> None:
    places = [place(grid) for grid in GRIDS for _ in range(5)]
    workers = [worker(1, VILLAGE), worker(2, VILLAGE)]
    found = spread(places[::-1], workers)[::-1]
    assert found == [UUID(int=1)] * 10 + [UUID(int=2)] * 10


def test_who_has_some_already_is_given_fewer() -> None:
    workers = [worker(1, VILLAGE, load=4), worker(2, VILLAGE), worker(3, "510182104001")]
    found = spread([place(GRIDS[0])] * 6, workers)
    assert counts(found, workers) == [5, 5, 0]


def test_a_visit_moves_on_through_others() -> None:
    # The first can only be relieved by the second, who must be relieved by the third.
    workers = [
        worker(1, GRIDS[0]),
        worker(2, GRIDS[0], GRIDS[1]),
        worker(3, GRIDS[1], GRIDS[2]),
    ]
    places = [place(GRIDS[0])] * 6 + [place(GRIDS[1])] * 3
    assert counts(spread(places, workers), workers) == [3, 3, 3]


def test_nobody_goes_where_nobody_is() -> None:
    found = spread([place(GRIDS[0]), place("510182104001001")], [worker(1, VILLAGE)])
    assert found == [UUID(int=1), None]
    assert spread([place(GRIDS[0])], []) == [None]
    assert spread([], [worker(1, VILLAGE)]) == []


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(GRIDS), max_size=7),
    st.lists(
        st.tuples(st.sets(st.sampled_from([*GRIDS, VILLAGE]), min_size=1), st.integers(0, 4)),
        min_size=1,
        max_size=3,
    ),
)
def test_against_every_way_there_is(grids: list[str], given_to: list[tuple[set[str], int]]) -> None:
    workers = [
        worker(n, *sorted(areas), load=load) for n, (areas, load) in enumerate(given_to, start=1)
    ]
    places = [place(grid) for grid in grids]
    found = spread(places, workers)
    choices = [[each for each in workers if spot.within(each.areas)] or [None] for spot in places]
    for spot, account, fit in zip(places, found, choices, strict=True):
        assert account in {each.account if each else None for each in fit}, spot
    ways = (
        counts([each.account if each else None for each in way], workers)
        for way in product(*choices)
    )
    best = min(sorted(way, reverse=True) for way in ways)
    assert sorted(counts(found, workers), reverse=True) == best
    assert spread(places, workers) == found
