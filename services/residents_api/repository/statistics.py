"""Counting villages, and adding up what was counted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, or_, select, text

from services.common.areas import VILLAGE_LENGTH, Area, AreaKind, prefix_range
from services.common.database import ReadSession, WriteSession
from services.residents_api.models import (
    StatisticCount,
    StatisticMonth,
    StatisticVillage,
)

# A ledger on its way writes to its village again and again: it is counted when that has ended.
_TAKE = text("""
DELETE FROM statistic_dirty
 WHERE village_code IN (
       SELECT d.village_code FROM statistic_dirty d
        WHERE NOT EXISTS (SELECT FROM ledger_import i
                           WHERE i.village_code = d.village_code AND i.state = 'running')
        GROUP BY d.village_code ORDER BY min(d.id) LIMIT :limit)
RETURNING village_code
""")

# Everybody is counted once: in the dwelling in which they were registered first of those in which
# they live now, or else where their record is kept. So areas add up, whatever their level.
_LIVES = """
o.state = 'approved' AND (o.start_date IS NULL OR o.start_date <= CAST(:today AS date))
     AND (o.end_date IS NULL OR o.end_date > CAST(:today AS date))
"""

_COUNT = text(f"""
WITH home AS (
    SELECT c.resident_id, h.*
      FROM (SELECT DISTINCT o.resident_id FROM occupancy o
             WHERE o.division_code = :village AND {_LIVES}) c
     CROSS JOIN LATERAL (
           SELECT o.division_code, o.grid_code, o.compound_id, o.tenure FROM occupancy o
            WHERE o.resident_id = c.resident_id AND {_LIVES} ORDER BY o.id LIMIT 1) h
     WHERE h.division_code = :village
), people AS (
    SELECT r.*, h.grid_code, CAST(h.compound_id AS text) AS compound, h.tenure
      FROM home h JOIN resident r ON r.id = h.resident_id
     WHERE r.state = 'active'
     UNION ALL
    SELECT r.*, CASE WHEN length(r.area_code) > :village_length THEN r.area_code END,
           CAST(r.keeper_compound_id AS text), NULL
      FROM resident r
     WHERE r.area_code >= :village AND r.area_code < :end AND r.state = 'active'
       AND (SELECT o.id FROM occupancy o
             WHERE o.resident_id = r.id AND {_LIVES} LIMIT 1) IS NULL
), by_cell AS (
    SELECT p.grid_code, p.compound, d.dimension, d.value, count(*) AS count
      FROM people p
     CROSS JOIN LATERAL (VALUES
           ('population', ''),
           ('age_and_sex',
            coalesce(CAST(least(greatest(
                CAST(extract(year FROM age(CAST(:today AS date), p.birth_date)) AS integer), 0)
                / :band * :band, :oldest) AS text), '')
            || ':' || CASE WHEN p.sex IN ('male', 'female') THEN p.sex ELSE '' END),
           ('population_type', coalesce(p.population_type, '')),
           ('ethnicity', coalesce(p.ethnicity, '')),
           ('political_status', coalesce(p.political_status, '')),
           ('tenure', coalesce(p.tenure, ''))) d (dimension, value)
     GROUP BY p.grid_code, p.compound, d.dimension, d.value
), of_people AS (
    SELECT a.level, a.area, c.dimension, c.value, sum(c.count) AS count
      FROM by_cell c
     CROSS JOIN LATERAL (VALUES ('division', CAST(:village AS text)), ('grid', c.grid_code),
                                ('compound', c.compound)) a (level, area)
     WHERE a.area IS NOT NULL
     GROUP BY a.level, a.area, c.dimension, c.value
), inhabited AS (
    SELECT DISTINCT o.dwelling_id FROM occupancy o JOIN resident r ON r.id = o.resident_id
     WHERE o.division_code = :village AND {_LIVES} AND r.state = 'active'
), of_dwellings AS (
    SELECT a.level, a.area, k.dimension, '' AS value, count(*) AS count
      FROM dwelling d LEFT JOIN inhabited i ON i.dwelling_id = d.id
     CROSS JOIN LATERAL (VALUES ('division', CAST(:village AS text)), ('grid', d.grid_code),
                                ('compound', CAST(d.compound_id AS text))) a (level, area)
     CROSS JOIN LATERAL (VALUES
           ('dwellings', true), ('households', i.dwelling_id IS NOT NULL),
           ('vacant', i.dwelling_id IS NULL OR d.use = 'vacant')) k (dimension, holds)
     WHERE d.division_code = :village AND a.area IS NOT NULL AND coalesce(k.holds, false)
       AND NOT EXISTS (SELECT FROM building b
                        WHERE b.village_code = :village AND b.status = 'demolished'
                          AND b.number = d.building
                          AND b.compound_id IS NOT DISTINCT FROM d.compound_id)
     GROUP BY a.level, a.area, k.dimension
), counted AS (
    SELECT * FROM of_people UNION ALL SELECT * FROM of_dwellings
), gone AS (
    DELETE FROM statistic_count s
     WHERE s.village_code = :village
       AND NOT EXISTS (SELECT FROM counted c
                        WHERE (c.level, c.area, c.dimension, c.value)
                              = (s.level, s.area, s.dimension, s.value))
)
INSERT INTO statistic_count AS s (level, area, village_code, dimension, value, count)
SELECT level, area, :village, dimension, value, count FROM counted
    ON CONFLICT (level, area, village_code, dimension, value)
    DO UPDATE SET count = excluded.count WHERE s.count <> excluded.count
""")

# What was: by the days that occupancies say, whatever became of the person. One without a start
# is taken for as old as the register.
_COUNT_MONTHS = text("""
WITH month AS (
    SELECT CAST(m AS date) AS first,
           least(CAST(m + interval '1 month' AS date) - 1, CAST(:today AS date)) AS last
      FROM generate_series(date_trunc('month', CAST(:today AS date)) - :months * interval '1 month',
                           CAST(:today AS date), interval '1 month') m
), spell AS MATERIALIZED (
    SELECT o.resident_id, o.id, o.division_code, o.grid_code, CAST(o.compound_id AS text) AS compound,
           o.start_date, o.end_date, count(*) OVER (PARTITION BY o.resident_id) AS spells
      FROM (SELECT DISTINCT resident_id FROM occupancy
             WHERE division_code = :village AND state = 'approved') c
      JOIN resident r ON r.id = c.resident_id AND r.state <> 'merged'
      JOIN occupancy o ON o.resident_id = c.resident_id AND o.state = 'approved'
), several AS (
    SELECT DISTINCT ON (m.first, s.resident_id) m.first AS month, s.*
      FROM month m JOIN spell s ON (s.start_date IS NULL OR s.start_date <= m.last)
           AND (s.end_date IS NULL OR s.end_date > m.last)
     WHERE s.spells > 1
     ORDER BY m.first, s.resident_id, s.id
), event AS (
    SELECT month, division_code, grid_code, compound, 1 AS residents, 0 AS moved_in, 0 AS moved_out
      FROM several
     UNION ALL
    SELECT m.first, s.division_code, s.grid_code, s.compound, CAST(count(*) AS integer), 0, 0
      FROM month m JOIN spell s ON (s.start_date IS NULL OR s.start_date <= m.last)
           AND (s.end_date IS NULL OR s.end_date > m.last)
     WHERE s.spells = 1
     GROUP BY m.first, s.division_code, s.grid_code, s.compound
     UNION ALL
    SELECT CAST(date_trunc('month', start_date) AS date), division_code, grid_code, compound, 0, 1, 0
      FROM spell WHERE start_date >= (SELECT min(first) FROM month)
                   AND start_date <= CAST(:today AS date)
     UNION ALL
    SELECT CAST(date_trunc('month', end_date) AS date), division_code, grid_code, compound, 0, 0, 1
      FROM spell WHERE end_date >= (SELECT min(first) FROM month)
                   AND end_date <= CAST(:today AS date)
), counted AS (
    SELECT a.level, a.area, e.month, sum(e.residents) AS residents, sum(e.moved_in) AS moved_in,
           sum(e.moved_out) AS moved_out
      FROM event e
     CROSS JOIN LATERAL (VALUES ('division', e.division_code), ('grid', e.grid_code),
                                ('compound', e.compound)) a (level, area)
     WHERE e.division_code = :village AND a.area IS NOT NULL
     GROUP BY a.level, a.area, e.month
), gone AS (
    DELETE FROM statistic_month s
     WHERE s.village_code = :village
       AND NOT EXISTS (SELECT FROM counted c
                        WHERE (c.level, c.area, c.month) = (s.level, s.area, s.month))
)
INSERT INTO statistic_month AS s (level, area, village_code, month, residents, moved_in, moved_out)
SELECT level, area, :village, month, residents, moved_in, moved_out FROM counted
    ON CONFLICT (level, area, village_code, month) DO UPDATE
    SET residents = excluded.residents, moved_in = excluded.moved_in, moved_out = excluded.moved_out
  WHERE (s.residents, s.moved_in, s.moved_out)
        IS DISTINCT FROM (excluded.residents, excluded.moved_in, excluded.moved_out)
""")

_COUNTED = text("""
INSERT INTO statistic_village (village_code, counted_on) VALUES (:village, :today)
    ON CONFLICT (village_code) DO UPDATE SET counted_on = excluded.counted_on
""")

# What larger divisions have, so that nobody adds up a city for one question.
_ADD_UP = text("""
WITH summed AS (
    SELECT p.code AS area, s.dimension, s.value, sum(s.count) AS count
      FROM unnest(CAST(:codes AS text[])) p (code)
      JOIN statistic_count s ON s.level = 'division' AND s.area >= p.code COLLATE "C"
           AND s.area < p.code || '~' COLLATE "C"
     GROUP BY p.code, s.dimension, s.value
), gone AS (
    DELETE FROM statistic_count s
     WHERE s.level = 'sum' AND s.area = ANY(CAST(:codes AS text[]))
       AND NOT EXISTS (SELECT FROM summed c
                        WHERE (c.area, c.dimension, c.value) = (s.area, s.dimension, s.value))
)
INSERT INTO statistic_count AS s (level, area, village_code, dimension, value, count)
SELECT 'sum', area, '', dimension, value, count FROM summed
    ON CONFLICT (level, area, village_code, dimension, value)
    DO UPDATE SET count = excluded.count WHERE s.count <> excluded.count
""")

BAND = 5
OLDEST = 85
# Months before the present one.
MONTHS = 23

DIVISION_LENGTHS = (2, 4, 6, 9, VILLAGE_LENGTH)


async def anything_to_count(session: ReadSession, *, today: date) -> bool:
    return bool(
        await session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM statistic_dirty) OR EXISTS ("
                "SELECT FROM statistic_village WHERE counted_on IS DISTINCT FROM :today)"
            ),
            {"today": today},
        )
    )


async def take_written(session: WriteSession, *, limit: int) -> set[str]:
    """Villages that were written to since they were last taken, the longest ago first."""
    return set(await session.scalars(_TAKE, {"limit": limit}))


async def of_another_day(session: WriteSession, *, today: date, limit: int) -> Sequence[str]:
    """Villages that were not counted for today yet."""
    other = StatisticVillage.counted_on.is_distinct_from(today)
    statement = select(StatisticVillage.village_code).where(other)
    return (await session.scalars(statement.limit(limit))).all()


async def count(session: WriteSession, village: str, *, today: date) -> None:
    """Count one village, or the people whose record a larger division keeps."""
    # Nothing else but the grids of a village starts with its code.
    end = prefix_range(village)[1] if len(village) == VILLAGE_LENGTH else village + "0"
    values = {"village": village, "today": today}
    await session.execute(
        _COUNT,
        values | {"end": end, "band": BAND, "oldest": OLDEST, "village_length": VILLAGE_LENGTH},
    )
    await session.execute(_COUNT_MONTHS, values | {"months": MONTHS})
    await session.execute(_COUNTED, values)


async def add_up(session: WriteSession, villages: Collection[str]) -> None:
    """Add up the divisions that contain these villages."""
    codes = {village[:n] for village in villages for n in _SUMMED if n <= len(village)}
    await session.execute(_ADD_UP, {"codes": sorted(codes)})


_SUMMED = DIVISION_LENGTHS[:-1]


def _of(
    areas: Sequence[Area],
) -> ColumnElement[bool]:
    """Months of any of the areas, which do not overlap."""
    return or_(
        *(
            and_(StatisticMonth.level == area.kind.value, _inside(area, StatisticMonth.area))
            for area in areas
        )
    )


def _inside(area: Area, column: Any) -> ColumnElement[bool]:
    if area.kind is not AreaKind.DIVISION:
        return column == area.code
    lower, upper = prefix_range(area.code)
    return and_(column >= lower, column < upper)


async def counts(session: ReadSession, areas: Sequence[Area]) -> dict[str, dict[str, int]]:
    """How many there are in the areas, by dimension and value."""
    rows = await session.execute(
        select(StatisticCount.dimension, StatisticCount.value, func.sum(StatisticCount.count))
        .where(or_(*(_counted(area) for area in areas)))
        .group_by(StatisticCount.dimension, StatisticCount.value)
    )
    found: dict[str, dict[str, int]] = {}
    for dimension, value, number in rows:
        found.setdefault(dimension, {})[value] = number
    return found


def _counted(area: Area) -> ColumnElement[bool]:
    is_sum = area.kind is AreaKind.DIVISION and len(area.code) < VILLAGE_LENGTH
    level = "sum" if is_sum else area.kind.value
    return and_(StatisticCount.level == level, StatisticCount.area == area.code)


@dataclass(frozen=True, slots=True)
class Months:
    residents: int = 0
    moved_in: int = 0
    moved_out: int = 0


async def months(
    session: ReadSession, areas: Sequence[Area], *, since: date
) -> Mapping[date, Months]:
    """By the first day of the month."""
    rows = await session.execute(
        select(
            StatisticMonth.month,
            func.sum(StatisticMonth.residents),
            func.sum(StatisticMonth.moved_in),
            func.sum(StatisticMonth.moved_out),
        )
        .where(_of(areas), StatisticMonth.month >= since)
        .group_by(StatisticMonth.month)
    )
    return {month: Months(*numbers) for month, *numbers in rows}


_Sums = sa.Select[int, str, str, str, int]

# Level by level from the whole down: dimension, area, value, count.
Siblings = list[dict[str, dict[str, dict[str, int]]]]


async def siblings(
    session: ReadSession, area: Area, *, village: str | None, dimensions: Sequence[str]
) -> Siblings:
    """Of each level from the largest division down to the area: it, or what it is a part of, and
    the others that make up the next larger area with it.
    """
    code = village or area.code[:VILLAGE_LENGTH]
    lengths = [length for length in DIVISION_LENGTHS if length <= len(code)]
    parts: list[_Sums] = []
    for n, length in enumerate(lengths):
        is_sum = length < VILLAGE_LENGTH
        statement = _summed(n, StatisticCount.area, dimensions).where(
            StatisticCount.level == ("sum" if is_sum else "division"),
            func.length(StatisticCount.area) == length,
        )
        if n > 0:
            parent = Area(AreaKind.DIVISION, code[: lengths[n - 1]])
            statement = statement.where(_inside(parent, StatisticCount.area))
        parts.append(statement)
    if area.kind is not AreaKind.DIVISION:
        parts.append(
            _summed(len(lengths), StatisticCount.area, dimensions).where(
                StatisticCount.level == area.kind.value, StatisticCount.village_code == code
            )
        )
    found: Siblings = [{dimension: {} for dimension in dimensions} for _ in parts]
    rows: sa.Result[int, str, str, str, int] = await session.execute(sa.union_all(*parts))
    for n, key, dimension, value, number in rows:
        found[n][dimension].setdefault(key, {})[value] = number
    return found


def _summed(n: int, child: SQLColumnExpression[str], dimensions: Sequence[str]) -> _Sums:
    key = sa.cast(child, sa.Text)
    columns = (key, StatisticCount.dimension, StatisticCount.value)
    # The key by its place: said twice, its parameters are two, and no one expression.
    return (
        select(sa.literal(n), *columns, func.sum(StatisticCount.count))
        .where(StatisticCount.dimension.in_(dimensions))
        .group_by(sa.text("2"), StatisticCount.dimension, StatisticCount.value)
    )


async def villages_within(session: ReadSession, areas: Sequence[Area]) -> Sequence[str]:
    """The villages of which something is counted."""
    inside = or_(*(_inside(area, StatisticVillage.village_code) for area in areas))
    return (await session.scalars(select(StatisticVillage.village_code).where(inside))).all()
