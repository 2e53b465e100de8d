"""Coordinates as they are given in China, and what they are in WGS-84.

Maps in China are drawn in GCJ-02 (AMap, Tencent), which moves every point by some hundred metres,
or in BD-09 (Baidu), which moves that once more. The formulas are not published; those below are
the ones that everybody uses. They have no inverse in closed form, so the way back is iterated until
it is far finer than any of the coordinates. CGCS2000 and WGS-84 differ by less than a metre here:
they are taken for the same.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Krasovsky 1940, on which GCJ-02 is reckoned.
_SEMI_MAJOR_METRES = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_BAIDU_PI = math.pi * 3000.0 / 180.0
_BAIDU_LONGITUDE, _BAIDU_LATITUDE = 0.0065, 0.006

# A rectangle around the country: outside, GCJ-02 is WGS-84. What is registered here lies inside.
WEST, EAST = 73.0, 136.0
SOUTH, NORTH = 3.0, 54.0

# About a tenth of a millimetre.
_EXACT_DEGREES = 1e-9
_MOST_STEPS = 30


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees, east and north."""

    longitude: float
    latitude: float

    @property
    def in_country(self) -> bool:
        return WEST <= self.longitude <= EAST and SOUTH <= self.latitude <= NORTH


def to_wgs84(point: Point, system: str) -> Point:
    """A point of one of the code list's coordinate systems in WGS-84. Raises KeyError."""
    return _TO_WGS84[system](point)


def from_wgs84(point: Point, system: str) -> Point:
    """The point of a coordinate system that is this one in WGS-84. Raises KeyError."""
    return _FROM_WGS84[system](point)


def _same(point: Point) -> Point:
    return point


def _wgs84_to_gcj02(point: Point) -> Point:
    x, y = point.longitude - 105.0, point.latitude - 35.0
    waves = 20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)
    north = (
        -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * math.sqrt(abs(x))
        + (waves + 20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
        + (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    )
    east = (
        300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * math.sqrt(abs(x))
        + (waves + 20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
        + (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    )
    latitude = math.radians(point.latitude)
    flattening = 1 - _ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
    meridian = _SEMI_MAJOR_METRES * (1 - _ECCENTRICITY_SQUARED) / flattening**1.5
    parallel = _SEMI_MAJOR_METRES / math.sqrt(flattening) * math.cos(latitude)
    return Point(
        point.longitude + math.degrees(east / parallel),
        point.latitude + math.degrees(north / meridian),
    )


def _gcj02_to_bd09(point: Point) -> Point:
    x, y = point.longitude, point.latitude
    distance = math.hypot(x, y) + 0.00002 * math.sin(y * _BAIDU_PI)
    angle = math.atan2(y, x) + 0.000003 * math.cos(x * _BAIDU_PI)
    return Point(
        distance * math.cos(angle) + _BAIDU_LONGITUDE, distance * math.sin(angle) + _BAIDU_LATITUDE
    )


def _wgs84_to_bd09(point: Point) -> Point:
    return _gcj02_to_bd09(_wgs84_to_gcj02(point))


def _inverse(of: Callable[[Point], Point]) -> Callable[[Point], Point]:
    """The point that `of` moves here: what it moves too far is taken off, again and again."""

    def inverse(moved: Point) -> Point:
        guess = moved
        for _ in range(_MOST_STEPS):
            there = of(guess)
            east, north = moved.longitude - there.longitude, moved.latitude - there.latitude
            guess = Point(guess.longitude + east, guess.latitude + north)
            if max(abs(east), abs(north)) < _EXACT_DEGREES:
                break
        return guess

    return inverse


_FROM_WGS84: Mapping[str, Callable[[Point], Point]] = MappingProxyType(
    {
        "wgs84": _same,
        "cgcs2000": _same,
        "gcj02": _wgs84_to_gcj02,
        "bd09": _wgs84_to_bd09,
    }
)
_TO_WGS84: Mapping[str, Callable[[Point], Point]] = MappingProxyType(
    {
        "wgs84": _same,
        "cgcs2000": _same,
        "gcj02": _inverse(_wgs84_to_gcj02),
        "bd09": _inverse(_wgs84_to_bd09),
    }
)
