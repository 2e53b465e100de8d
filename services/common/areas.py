"""Areas contain each other: the one way every service asks "is this mine?".

An area is a division code (2, 4, 6, 9 or 12 digits, GB/T 2260 + town + village), a grid code
(village + 3 digits) or a compound id. A row that stands somewhere carries all three, so that
"within my area" is a prefix range or an equality and needs no look-up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, or_

DIVISION_LENGTHS = frozenset({2, 4, 6, 9, 12})
VILLAGE_LENGTH = 12
GRID_LENGTH = 15


class AreaKind(StrEnum):
    DIVISION = "division"
    GRID = "grid"
    COMPOUND = "compound"


@dataclass(frozen=True, slots=True)
class Area:
    """One area; `code` is its canonical text."""

    kind: AreaKind
    code: str

    @classmethod
    def parse(cls, text: str) -> "Area":
        """Read an area. Raises ValueError for anything that is none."""
        if text.isascii() and text.isdigit():
            if len(text) in DIVISION_LENGTHS:
                return cls(AreaKind.DIVISION, text)
            if len(text) == GRID_LENGTH:
                return cls(AreaKind.GRID, text)
        elif len(text) == 36:
            return cls(AreaKind.COMPOUND, str(UUID(text)))
        raise ValueError("neither a division code, nor a grid code, nor a compound id")

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands. `grid_code` and `compound_id` may be unknown."""

    division_code: str
    grid_code: str | None = None
    compound_id: UUID | None = None

    def within(self, areas: Iterable[Area]) -> bool:
        return any(self._within(area) for area in areas)

    def _within(self, area: Area) -> bool:
        match area.kind:
            case AreaKind.DIVISION:
                return self.division_code.startswith(area.code)
            case AreaKind.GRID:
                return self.grid_code == area.code
            case AreaKind.COMPOUND:
                return self.compound_id is not None and str(self.compound_id) == area.code


def place_of(area: Area, *, village_code: str | None = None) -> Place:
    """The area itself as a place, so that `within` answers "does mine contain it?".

    A compound's village is not in its id: the caller looks it up and passes `village_code`.
    """
    match area.kind:
        case AreaKind.DIVISION:
            return Place(area.code)
        case AreaKind.GRID:
            return Place(area.code[:VILLAGE_LENGTH], grid_code=area.code)
        case AreaKind.COMPOUND:
            return Place(village_code or "", compound_id=UUID(area.code))


def prefix_range(code: str) -> tuple[str, str]:
    """Bounds, lower included and upper not, of all codes that start with `code` (COLLATE "C")."""
    return code, code[:-1] + chr(ord(code[-1]) + 1)


def within(
    areas: Iterable[Area],
    *,
    division: SQLColumnExpression[str],
    grid: SQLColumnExpression[Any] | None = None,
    compound: SQLColumnExpression[Any] | None = None,
) -> ColumnElement[bool]:
    """The SQL of `Place.within`: true for rows inside at least one area, false for no areas."""
    conditions: list[ColumnElement[bool]] = []
    for area in areas:
        match area.kind:
            case AreaKind.DIVISION:
                lower, upper = prefix_range(area.code)
                conditions.append(and_(division >= lower, division < upper))
            case AreaKind.GRID if grid is not None:
                conditions.append(grid == area.code)
            case AreaKind.COMPOUND if compound is not None:
                conditions.append(compound == UUID(area.code))
            case _:
                continue
    return or_(*conditions) if conditions else false()
