"""Where to put K places so that as much demand as can be lies within walking distance.

This is the maximum cover problem, which nobody solves exactly at this size. Greedy choice, always
of the place that newly covers most, is what can be explained place by place, and comes with a bound:

- it covers at least 1 - 1/e (63 %) of what the best choice would (Nemhauser, Wolsey, Fisher 1978);
- with a distance to keep between places, at least 1/6: a new place is at odds with at most five
  places that keep their distance from each other (Calinescu and others 2011, for p + 1 with p = 5);
- usually far more, so every plan also carries an upper bound for its own instance: at any moment
  the best choice covers no more than what is covered now and the K largest gains that are left.

Demand counts in whole numbers, so that sums are exact and a plan is the same wherever it is made.
Distances are great circles on a sphere: the chord between two points is as good as the haversine
formula, to which it is equal, and costs three products.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import nlargest
from itertools import product

EARTH_METRES = 6_371_008.8
MAX_SITES = 5_000
MAX_PLACES = 50
# Pairs of sites within walking distance. More take too long, and mean too coarse a question.
MAX_PAIRS = 3_000_000

GREEDY_COVER = 1 - 1 / math.e
GREEDY_COVER_APART = 1 / 6


class TooDense(ValueError):
    """Too many sites lie within walking distance of each other."""


class TooNear(ValueError):
    """Two places that must be chosen do not keep the distance. `first` and `second`: in `required`."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__("required places too near to each other")
        self.first, self.second = first, second


class Ended(StrEnum):
    """Why no more places were chosen."""

    ALL_CHOSEN = "all_chosen"
    NOTHING_TO_GAIN = "nothing_to_gain"
    NO_PLACE_LEFT = "no_place_left"


@dataclass(frozen=True, slots=True)
class Site:
    """Where demand is, and if `candidate` a place may be chosen. Degrees, WGS-84."""

    longitude: float
    latitude: float
    weight: int
    candidate: bool = True


@dataclass(frozen=True, slots=True)
class Reached:
    """A site that a place covers, and how far it is."""

    site: int
    metres: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A place. `gain` is the demand of `covers`: what no place chosen before had covered."""

    site: int
    gain: int
    required: bool
    covers: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`upper_bound` is demand that no choice of as many places covers more than."""

    choices: tuple[Choice, ...]
    covered: int
    total: int
    upper_bound: int
    guarantee: float
    uncovered: tuple[int, ...]
    ended: Ended


_Vector = tuple[float, float, float]


def metres_between(one: Site, other: Site) -> float:
    """The great circle."""
    return _metres(_squared(_vector(one), _vector(other)))


def plan(
    sites: Sequence[Site],
    *,
    places: int,
    reach: float,
    apart: float = 0,
    required: Sequence[int] = (),
) -> Plan:
    """Choose up to `places` sites that cover most. `reach` and `apart` in metres.

    Chosen places lie more than `apart` from each other, if that is not 0. `required` (indexes, each
    once) are chosen first. Of equals, the site that stands first is chosen. Raises TooNear for
    required places that do not keep the distance, and TooDense.
    """
    where = [_vector(site) for site in sites]
    near = _neighbours(where, reach)
    weights = [site.weight for site in sites]
    gains = [sum(weights[other] for other in each) for each in near]
    free = {index for index, site in enumerate(sites) if site.candidate}
    covered = [False] * len(sites)
    choices: list[Choice] = []

    def choose(index: int, *, must: bool) -> None:
        new = [other for other in near[index] if not covered[other]]
        gain = gains[index]
        for other in new:
            covered[other] = True
            # Nearness is mutual: these are the places that would have covered it.
            for place in near[other]:
                gains[place] -= weights[other]
        reached = (Reached(other, _metres(_squared(where[index], where[other]))) for other in new)
        choices.append(Choice(index, gain, must, tuple(sorted(reached, key=_by_distance))))
        free.discard(index)
        if apart > 0:
            free.difference_update(_within(where, index, apart))

    _check_apart(where, required, apart)
    for index in required:
        choose(index, must=True)
    allowed = sorted(free)
    more = places - len(required)
    best_of_all = _coverable(near, weights, [*allowed, *required])
    done = sum(choice.gain for choice in choices)
    bound = best_of_all
    while True:
        bound = min(bound, done + sum(nlargest(more, (gains[index] for index in allowed))))
        best = max(free, key=lambda index: (gains[index], -index), default=None)
        if len(choices) == places:
            ended = Ended.ALL_CHOSEN
        elif best is None:
            ended = Ended.NO_PLACE_LEFT
        elif gains[best] == 0:
            ended = Ended.NOTHING_TO_GAIN
        else:
            done += gains[best]
            choose(best, must=False)
            continue
        break
    return Plan(
        choices=tuple(choices),
        covered=done,
        total=sum(weights),
        upper_bound=bound,
        guarantee=GREEDY_COVER_APART if apart > 0 else GREEDY_COVER,
        uncovered=tuple(index for index, is_covered in enumerate(covered) if not is_covered),
        ended=ended,
    )


def _by_distance(reached: Reached) -> tuple[float, int]:
    return reached.metres, reached.site


def _coverable(near: Sequence[Sequence[int]], weights: Sequence[int], by: Sequence[int]) -> int:
    return sum(weights[each] for each in {other for index in by for other in near[index]})


def _check_apart(where: Sequence[_Vector], required: Sequence[int], apart: float) -> None:
    if apart <= 0:
        return
    limit = _chord(apart) ** 2
    for second in range(len(required)):
        for first in range(second):
            if _squared(where[required[first]], where[required[second]]) <= limit:
                raise TooNear(first, second)


def _vector(site: Site) -> _Vector:
    """A point on the unit sphere: no longitude is special, and no pole."""
    longitude, latitude = math.radians(site.longitude), math.radians(site.latitude)
    flat = math.cos(latitude)
    return flat * math.cos(longitude), flat * math.sin(longitude), math.sin(latitude)


def _squared(one: _Vector, other: _Vector) -> float:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


def _metres(squared_chord: float) -> float:
    return 2 * EARTH_METRES * math.asin(min(1.0, math.sqrt(squared_chord) / 2))


def _chord(metres: float) -> float:
    return 2 * math.sin(min(metres / EARTH_METRES, math.pi) / 2)


def _within(where: Sequence[_Vector], index: int, metres: float) -> Iterator[int]:
    limit = _chord(metres) ** 2
    here = where[index]
    return (other for other, there in enumerate(where) if _squared(here, there) <= limit)


def _neighbours(where: Sequence[_Vector], metres: float) -> list[list[int]]:
    """For each point, in order, those within the distance and itself.

    Points are sorted into cubes whose side is the chord, so that whatever is near lies in one of 27.
    """
    chord = _chord(metres)
    limit = chord * chord
    cubes: dict[tuple[int, int, int], list[tuple[float, float, float, int]]] = {}
    for index, (x, y, z) in enumerate(where):
        cubes.setdefault(_cube((x, y, z), chord), []).append((x, y, z, index))
    found: list[list[int]] = [[] for _ in where]
    pairs = 0
    for (i, j, k), inside in cubes.items():
        around = [
            point
            for a, b, c in product((-1, 0, 1), repeat=3)
            for point in cubes.get((i + a, j + b, k + c), ())
        ]
        for x, y, z, index in inside:
            near = [
                other
                for ox, oy, oz, other in around
                if (x - ox) * (x - ox) + (y - oy) * (y - oy) + (z - oz) * (z - oz) <= limit
            ]
            near.sort()
            found[index] = near
            pairs += len(near)
            if pairs > MAX_PAIRS:
                raise TooDense
    return found


def _cube(point: _Vector, side: float) -> tuple[int, int, int]:
    x, y, z = point
    return math.floor(x / side), math.floor(y / side), math.floor(z / side)
