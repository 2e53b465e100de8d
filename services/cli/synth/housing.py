"""Where people live: compounds of buildings, units and rooms; hamlets of numbered houses."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

DEMO_VILLAGE, DEMO_COMPOUND = "510182104006", "金沙小区"
# The sample ledger in tests/data lists buildings 1 to 12 of this compound. Ours come after
# them, so that importing it makes the same dwellings on the town as on an empty register.
_DEMO_FIRST_BUILDING = 13

_VACANT = 0.12

_ENDINGS = (
    "花园", "佳苑", "新居", "雅居", "馨苑", "名城", "家园", "丽景", "锦城", "阳光里", "和苑", "春天", "华庭",
    "水岸", "新城", "怡园",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Village:
    code: str  # 12 digits
    name: str  # as in the statistics, e.g. 金沙社区居委会

    @property
    def rural(self) -> bool:
        return not self.name.endswith("社区居委会")

    @property
    def short_name(self) -> str:
        for ending in ("社区居委会", "村村委会", "居委会", "村委会"):
            if self.name.endswith(ending):
                return self.name.removesuffix(ending)
        return self.name


def read_villages(divisions: Path, *, within: str) -> list[Village]:
    """The villages and communities whose code begins with `within`, from divisions.csv."""
    with divisions.open(encoding="utf-8", newline="") as file:
        return [
            Village(row["code"], row["name"])
            for row in csv.DictReader(file)
            if row["level"] == "village" and row["code"].startswith(within)
        ]


class Dwelling(NamedTuple):
    compound: str  # empty in a hamlet
    building: str  # 3栋, or the group of a hamlet: 2组
    unit: str
    room: str
    grid: str


class _Building(NamedTuple):
    compound: str
    name: str
    doors: tuple[tuple[str, str], ...]  # unit and room


def dwellings(
    village: Village, *, per_grid: int, draw: Callable[[], float]
) -> Iterator[tuple[Dwelling, bool]]:
    """Lived-in dwellings without end, each with whether it is a house in a hamlet.

    A grid is closed after the building with which it reaches `per_grid` dwellings.
    """
    grid, in_grid = 1, 0
    for building in _buildings(village, draw):
        if in_grid >= per_grid:
            grid, in_grid = grid + 1, 0
        in_grid += len(building.doors)
        code = f"{village.code}{grid:03d}"
        for unit, room in building.doors:
            if draw() >= _VACANT:
                yield (
                    Dwelling(building.compound, building.name, unit, room, code),
                    not building.compound,
                )


def _buildings(village: Village, draw: Callable[[], float]) -> Iterator[_Building]:
    if village.code == DEMO_VILLAGE:
        yield from _compound(DEMO_COMPOUND, draw, first=_DEMO_FIRST_BUILDING, size=12)
    names = _compound_names(village.short_name, draw)
    if village.rural:
        # One estate for those whose land was built over; the others live in hamlets.
        yield from _compound(next(names), draw, size=4 + int(draw() * 4))
        yield from _hamlets(draw)
    for name in names:
        yield from _compound(name, draw, size=5 + int(draw() * 8))


def _compound_names(place: str, draw: Callable[[], float]) -> Iterator[str]:
    endings = list(_ENDINGS)
    endings.sort(key=lambda _: draw())
    for phase in chain([""], (f"{number}期" for number in count(2))):
        for ending in endings:
            yield f"{place}{ending}{phase}"


def _compound(
    name: str, draw: Callable[[], float], *, size: int, first: int = 1
) -> Iterator[_Building]:
    lifts = draw() < 0.4
    floors = 11 + int(draw() * 8) if lifts else 5 + int(draw() * 2)
    doors = 2 + int(draw() * 3) if lifts else 2
    units = 1 + int(draw() * 2) if lifts else 2 + int(draw() * 3)
    rooms = tuple(
        (f"{unit}单元", f"{floor}{door:02d}")
        for unit in range(1, units + 1)
        for floor in range(1, floors + 1)
        for door in range(1, doors + 1)
    )
    for number in range(first, first + size):
        yield _Building(name, f"{number}栋", rooms)


def _hamlets(draw: Callable[[], float]) -> Iterator[_Building]:
    for group in count(1):
        houses = 60 + int(draw() * 70)
        yield _Building("", f"{group}组", tuple(("", f"{n}号") for n in range(1, houses + 1)))
