"""Small counts of sensitive groups stay hidden, and cannot be worked out from what is shown.

A table holds the areas side by side that make up one larger area, and the categories of one group.
Who reads it knows every area's total, and what the larger area shows of each category. So a hidden
count needs company in its row and in its column: at least two hidden counts that together leave
room for doubt.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

# Fewer than this many, but somebody, is a small count.
SMALL = 5
# Two counts of 1 that are known to be 2 together are known each.
_ROOM = 2 * SMALL

Table = Mapping[str, Mapping[str, int]]


def hidden(
    table: Table,
    categories: Collection[str],
    *,
    above: Collection[str] | None,
    unlisted: Mapping[str, int],
) -> dict[str, set[str]]:
    """Which categories to hide of each area.

    `above` is what is hidden of the larger area; None if nothing of it is shown. `unlisted` are the
    counts of it that stand in no row: nobody is shown them. The same table gives the same answer,
    whoever asks.
    """
    found = {
        area: {category for category, count in counts.items() if 0 < count < SMALL}
        for area, counts in table.items()
    }
    order = sorted(categories)
    while True:
        more = list(_in_rows(table, order, found))
        for area, category in more:
            found[area].add(category)
        if above is not None:
            of_columns = list(_in_columns(table, found, above=above, unlisted=unlisted))
            for area, category in of_columns:
                found[area].add(category)
            more += of_columns
        if not more:
            return found


def _in_rows(
    table: Table, order: Collection[str], found: Mapping[str, set[str]]
) -> Iterator[tuple[str, str]]:
    for area, counts in table.items():
        if found[area]:
            yield from (
                (area, category)
                for category in _company(
                    {category: counts.get(category, 0) for category in order}, found[area]
                )
            )


def _in_columns(
    table: Table,
    found: Mapping[str, set[str]],
    *,
    above: Collection[str],
    unlisted: Mapping[str, int],
) -> Iterator[tuple[str, str]]:
    columns: dict[str, set[str]] = defaultdict(set)
    for area, categories in found.items():
        for category in categories:
            columns[category].add(area)
    for category in sorted({*columns, *above}):
        counts = {area: table[area].get(category, 0) for area in sorted(table)}
        areas = columns[category]
        if category in above:
            # The sum is not known either: one that is missing keeps it so.
            wanted = [] if areas else _smallest(counts, areas)[:1]
        else:
            wanted = _company(counts, areas, beside=unlisted.get(category, 0)) if areas else []
        yield from ((area, category) for area in wanted)


def _company(counts: Mapping[str, int], chosen: Collection[str], *, beside: int = 0) -> list[str]:
    """What more to hide, the smallest first; counts of none only if nothing else is left."""
    size = len(chosen) + bool(beside)
    total = sum(counts[one] for one in chosen) + beside
    more: list[str] = []
    for one in _smallest(counts, chosen):
        if size >= 2 and total >= _ROOM:
            break
        more.append(one)
        size, total = size + 1, total + counts[one]
    return more


def _smallest(counts: Mapping[str, int], without: Collection[str]) -> list[str]:
    left = [one for one in counts if one not in without]
    return sorted(left, key=lambda one: (counts[one] == 0, counts[one], one))
