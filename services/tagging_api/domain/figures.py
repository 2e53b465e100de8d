"""Figures over bitmaps: an audience broken down, and audiences with one another."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyroaring import BitMap

from services.common.areas import AreaKind
from services.tagging_api.domain.bitmaps import TAG, View
from services.tagging_api.domain.rules import Compare, FieldName, Operator

OLDEST: Final = 150
# Ages, both included.
AGE_BANDS: Final = (
    (0, 6),
    (7, 13),
    (14, 17),
    (18, 24),
    (25, 34),
    (35, 44),
    (45, 59),
    (60, 69),
    (70, 79),
    (80, OLDEST),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """How many of an audience have a value, None being unknown; and how many of those each tag."""

    key: str | None
    count: int
    tags: tuple[int, ...] = ()


def by_area(
    view: View, members: BitMap, kind: AreaKind, *, length: int | None, tags: Sequence[str]
) -> list[Figure]:
    """All areas of a kind (of divisions, of a code length) where the caller sees anybody.

    Who lives in two of them counts in both.
    """
    bearers = _bearers(view, tags)
    first, *others = view.layers or [(0, BitMap())]
    # Few have more than one home; all others are counted where their only one is, without a union.
    elsewhere = BitMap.union(BitMap(), *(seen for _, seen in others)) & members
    settled = members - elsewhere
    homes: dict[str, list[BitMap]] = defaultdict(list)
    for layer, seen in view.layers:
        for code, living in view.index.column(kind, layer).items():
            if (length is None or len(str(code)) == length) and living.intersect(seen):
                here = homes[str(code)]
                if layer == first[0]:
                    here.append(living & settled)
                if elsewhere:
                    here.append(living & seen & elsewhere)
    found: list[Figure] = []
    for code in sorted(homes):
        part = BitMap.union(BitMap(), *homes[code])
        found.append(Figure(code, len(part), tuple(_both(part, each) for each in bearers)))
    return found


def by_sex(view: View, members: BitMap, *, tags: Sequence[str]) -> list[Figure]:
    column = view.index.column(FieldName.SEX)
    parts = {str(value): members & bitmap for value, bitmap in sorted(column.items(), key=str)}
    return _with_unknown(parts, members, _bearers(view, tags))


def by_age_band(view: View, members: BitMap, *, tags: Sequence[str]) -> list[Figure]:
    parts = {
        band_key(low, high): view.among(
            Compare(FieldName.AGE, Operator.BETWEEN, (low, high)), members
        )
        for low, high in AGE_BANDS
    }
    return _with_unknown(parts, members, _bearers(view, tags))


def by_tag(view: View, members: BitMap, tags: Sequence[str]) -> list[Figure]:
    bearers = _bearers(view, tags)
    return [Figure(code, _both(members, each)) for code, each in zip(tags, bearers, strict=True)]


def band_key(low: int, high: int) -> str:
    return f"{low}+" if high == OLDEST else f"{low}-{high}"


def overlap(audiences: Sequence[BitMap]) -> list[list[int]]:
    """How many are in both, for every two; on the diagonal, how many there are."""
    size = len(audiences)
    counts = [[0] * size for _ in audiences]
    for row, one in enumerate(audiences):
        counts[row][row] = len(one)
        for column in range(row):
            counts[row][column] = counts[column][row] = _both(one, audiences[column])
    return counts


def _with_unknown(
    parts: dict[str, BitMap], members: BitMap, bearers: Sequence[BitMap]
) -> list[Figure]:
    unknown = members.difference(*parts.values()) if parts else members
    rows: list[tuple[str | None, BitMap]] = [
        *parts.items(),
        *([(None, unknown)] if unknown else []),
    ]
    return [
        Figure(key, len(part), tuple(_both(part, each) for each in bearers)) for key, part in rows
    ]


def _bearers(view: View, tags: Sequence[str]) -> list[BitMap]:
    column = view.index.column(TAG)
    return [column.get(code, BitMap()) for code in tags]


def _both(one: BitMap, other: BitMap) -> int:
    return one.intersection_cardinality(other)
