"""Coordinates: known points, and there and back again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.coordinates import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    Point,
    from_wgs84,
    to_wgs84,
)

SYSTEMS = [entry.code for entry in CODE_LISTS["coordinate_system"].entries]

# Published test values of the usual implementations.
KNOWN = [
    ("gcj02", (121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),  # Shanghai
    ("gcj02", (113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),  # Shenzhen
    ("gcj02", (116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),  # Beijing
    ("gcj02", (116.404, 39.915), (116.41024449916938, 39.91640428150164)),
    ("bd09", (116.404, 39.915), (116.41662724378733, 39.922699552216216)),
]


def metres(one: Point, other: Point) -> float:
    east = (one.longitude - other.longitude) * math.cos(math.radians(one.latitude))
    return math.hypot(east, one.latitude - other.latitude) * 111_320


@pytest.mark.parametrize(("system", "wgs84", "said"), KNOWN)
def test_known_points(system: str, wgs84: tuple[float, float], said: tuple[float, float]) -> None:
    assert metres(from_wgs84(Point(*wgs84), system), Point(*said)) < 0.001
    assert metres(to_wgs84(Point(*said), system), Point(*wgs84)) < 0.001


inside = st.builds(
    Point, st.floats(min_value=WEST, max_value=EAST), st.floats(min_value=SOUTH, max_value=NORTH)
)


@given(point=inside, system=st.sampled_from(SYSTEMS))
def test_there_and_back_again(point: Point, system: str) -> None:
    assert point.in_country
    there = from_wgs84(point, system)
    assert metres(to_wgs84(there, system), point) < 0.001
    back = to_wgs84(point, system)
    assert metres(from_wgs84(back, system), point) < 0.001


@given(point=inside)
def test_how_far_points_are_moved(point: Point) -> None:
    assert from_wgs84(point, "cgcs2000") == to_wgs84(point, "cgcs2000") == point
    moved = metres(from_wgs84(point, "gcj02"), point)
    assert 10 < moved < 1_500
    assert metres(from_wgs84(point, "bd09"), from_wgs84(point, "gcj02")) < 1_600


@given(point=inside, east=st.floats(-1e-4, 1e-4), north=st.floats(-1e-4, 1e-4))
def test_neighbours_stay_neighbours(point: Point, east: float, north: float) -> None:
    other = Point(point.longitude + east, point.latitude + north)
    for system in SYSTEMS:
        apart = metres(to_wgs84(point, system), to_wgs84(other, system))
        assert apart == pytest.approx(metres(point, other), rel=0.05, abs=0.5)


def test_an_unknown_system() -> None:
    with pytest.raises(KeyError):
        to_wgs84(Point(104.0, 31.0), "mars")
