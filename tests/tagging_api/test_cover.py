"""Where to put places: the greedy plan against every plan there is, and its stated bounds."""

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tagging_api.domain import site_plans as domain
from services.tagging_api.domain.site_plans import Ended, Plan, Site, TooDense, TooNear

METRE = 180 / (math.pi * domain.EARTH_METRES)  # of latitude, in degrees


def haversine(one: Site, other: Site) -> float:
    lat1, lat2 = math.radians(one.latitude), math.radians(other.latitude)
    dlon = math.radians(other.longitude - one.longitude)
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon / 2) ** 2
    return 2 * domain.EARTH_METRES * math.asin(min(1, math.sqrt(a)))


def on_a_line(*metres: float, weights: tuple[int, ...] | None = None) -> list[Site]:
    """Sites along a meridian."""
    weights = weights or (1,) * len(metres)
    return [Site(103.9, 30.9 + m * METRE, w) for m, w in zip(metres, weights, strict=True)]


def chosen(plan: Plan) -> list[int]:
    return [choice.site for choice in plan.choices]


def test_known_distances() -> None:
    paris, london = Site(2.3522, 48.8566, 0), Site(-0.1278, 51.5074, 0)
    assert domain.metres_between(paris, london) == pytest.approx(343_556, rel=1e-4)
    assert domain.metres_between(Site(0, 0, 0), Site(180, 0, 0)) == pytest.approx(
        math.pi * domain.EARTH_METRES
    )
    assert domain.metres_between(Site(179.999, 0, 0), Site(-179.999, 0, 0)) == pytest.approx(
        222.39, abs=0.01
    )
    assert domain.metres_between(paris, paris) == 0


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_the_chord_says_what_the_haversine_says(
    longitude: float, latitude: float, east: float, north: float
) -> None:
    one = Site(longitude, latitude, 0)
    other = Site(longitude + east, max(-90.0, min(90.0, latitude + north)), 0)
    assert domain.metres_between(one, other) == pytest.approx(haversine(one, other), abs=1e-4)


def test_the_place_that_covers_most_comes_first_and_then_what_it_left() -> None:
    sites = on_a_line(0, 300, 600, 5000, 9000, weights=(10, 1, 10, 15, 2))
    plan = domain.plan(sites, places=2, reach=400)
    assert chosen(plan) == [1, 3]
    assert [choice.gain for choice in plan.choices] == [21, 15]
    assert [{each.site for each in choice.covers} for choice in plan.choices] == [{1, 0, 2}, {3}]
    assert plan.choices[0].covers[0].site == 1
    assert [each.metres for each in plan.choices[0].covers] == pytest.approx([0, 300, 300])
    assert (plan.covered, plan.total, plan.uncovered) == (36, 38, (4,))
    assert (plan.upper_bound, plan.ended) == (36, Ended.ALL_CHOSEN)


def test_of_equals_the_first_is_chosen() -> None:
    plan = domain.plan(on_a_line(0, 9000, 18000), places=2, reach=100)
    assert chosen(plan) == [0, 1]


def test_no_place_is_chosen_for_nothing() -> None:
    plan = domain.plan(on_a_line(0, 100, 200), places=3, reach=500)
    assert (chosen(plan), plan.ended) == ([0], Ended.NOTHING_TO_GAIN)
    assert domain.plan([], places=3, reach=500).ended is Ended.NO_PLACE_LEFT
    nobody = domain.plan(on_a_line(0, weights=(0,)), places=1, reach=500)
    assert (chosen(nobody), nobody.ended) == ([], Ended.NOTHING_TO_GAIN)


def test_places_keep_their_distance() -> None:
    sites = on_a_line(0, 900, 2000, weights=(10, 9, 1))
    near = domain.plan(sites, places=2, reach=100)
    assert chosen(near) == [0, 1]
    apart = domain.plan(sites, places=3, reach=100, apart=1000)
    assert (chosen(apart), apart.ended) == ([0, 2], Ended.NO_PLACE_LEFT)
    assert apart.guarantee == pytest.approx(1 / 6)
    # Exactly so far is not further.
    exact = haversine(sites[0], sites[1])
    assert chosen(domain.plan(sites, places=2, reach=100, apart=exact + 1e-6)) == [0, 2]
    assert chosen(domain.plan(sites, places=2, reach=100, apart=exact - 1e-3)) == [0, 1]


def test_excluded_sites_still_count_and_required_ones_come_first() -> None:
    sites = on_a_line(0, 100, 5000, weights=(50, 1, 20))
    sites[0] = Site(sites[0].longitude, sites[0].latitude, 50, candidate=False)
    plan = domain.plan(sites, places=2, reach=200, required=[2])
    assert chosen(plan) == [2, 1]
    assert [choice.required for choice in plan.choices] == [True, False]
    assert [choice.gain for choice in plan.choices] == [20, 51]
    with pytest.raises(TooNear) as refused:
        domain.plan(sites, places=3, reach=200, apart=300, required=[2, 1, 0])
    assert (refused.value.first, refused.value.second) == (1, 2)


def test_everything_at_one_spot_is_too_dense() -> None:
    with pytest.raises(TooDense):
        domain.plan([Site(103.9, 30.9, 1)] * 5000, places=5, reach=100)


def test_a_city_is_planned_across_all_cubes() -> None:
    """As far as brute force can tell: who is near whom, on a grid of 40 by 40 sites."""
    sites = [
        Site(103.9 + column * 0.004, 30.9 + row * 0.003, 1 + (row * column) % 7)
        for row in range(40)
        for column in range(40)
    ]
    plan = domain.plan(sites, places=50, reach=900)
    covered: set[int] = set()
    for choice in plan.choices:
        near = {n for n, site in enumerate(sites) if haversine(sites[choice.site], site) <= 900}
        assert {each.site for each in choice.covers} == near - covered
        covered |= near
    assert set(range(len(sites))) - covered == set(plan.uncovered)


Instance = tuple[list[Site], int, float, float, list[int]]


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    count = draw(st.integers(1, 9))
    origin = draw(st.sampled_from([(103.9, 30.9), (179.999, 0.0), (20.0, 89.99)]))
    sites = [
        Site(
            origin[0] + draw(st.integers(0, 40)) * 0.001,
            origin[1] + draw(st.integers(0, 9)) * 0.001,
            draw(st.integers(0, 20)),
            candidate=draw(st.booleans()) or n == 0,
        )
        for n in range(count)
    ]
    places = draw(st.integers(1, 4))
    reach = draw(st.sampled_from([50.0, 120.0, 250.0, 600.0, 2000.0]))
    apart = draw(st.sampled_from([0.0, 0.0, 150.0, 400.0, 1500.0]))
    required = draw(
        st.lists(st.integers(0, count - 1), unique=True, max_size=min(2, places, count))
    )
    return sites, places, reach, apart, required


def keeps_distance(sites: list[Site], some: tuple[int, ...], apart: float) -> bool:
    return apart == 0 or all(
        domain.metres_between(sites[a], sites[b]) > apart for a, b in combinations(some, 2)
    )


def worth(sites: list[Site], some: tuple[int, ...], reach: float) -> int:
    return sum(
        site.weight
        for site in sites
        if any(domain.metres_between(sites[each], site) <= reach for each in some)
    )


@settings(max_examples=400)
@given(instances())
def test_against_every_plan_there_is(instance: Instance) -> None:
    sites, places, reach, apart, required = instance
    if not keeps_distance(sites, tuple(required), apart):
        with pytest.raises(TooNear):
            domain.plan(sites, places=places, reach=reach, apart=apart, required=required)
        return
    plan = domain.plan(sites, places=places, reach=reach, apart=apart, required=required)
    mine = tuple(chosen(plan))
    assert mine[: len(required)] == tuple(required)
    assert len(mine) <= places
    assert keeps_distance(sites, mine, apart)
    assert all(sites[each].candidate for each in mine[len(required) :])
    assert plan.covered == worth(sites, mine, reach) == sum(each.gain for each in plan.choices)
    assert plan.total == sum(site.weight for site in sites)
    free = [n for n, site in enumerate(sites) if site.candidate and n not in required]
    best = max(
        worth(sites, (*required, *more), reach)
        for size in range(places - len(required) + 1)
        for more in combinations(free, size)
        if keeps_distance(sites, (*required, *more), apart)
    )
    assert plan.covered <= best <= plan.upper_bound
    assert plan.covered >= plan.guarantee * best - 1e-9
    if apart == 0:
        # The bound told is never weaker than the one that is proved.
        assert plan.covered >= domain.GREEDY_COVER * plan.upper_bound - 1e-9
    assert plan == domain.plan(sites, places=places, reach=reach, apart=apart, required=required)
    assert mine == naive(sites, places, reach, apart, required)


def naive(
    sites: list[Site], places: int, reach: float, apart: float, required: list[int]
) -> tuple[int, ...]:
    """Greedy choice by its definition."""
    mine = tuple(required)
    while len(mine) < places:
        done = worth(sites, mine, reach)
        gains = [
            (worth(sites, (*mine, n), reach) - done, -n)
            for n, site in enumerate(sites)
            if site.candidate and n not in mine and keeps_distance(sites, (*mine, n), apart)
        ]
        gain, index = max(gains, default=(0, 0))
        if gain == 0:
            break
        mine = (*mine, -index)
    return mine
