"""What the bitmap index is read from: residents by number, in bulk.

PostgreSQL gathers the numbers of everybody with a value into one string of four bytes each, with
as many processes as it may, so that no row of a person ever becomes an object here. The same
statements read the whole city at the start and, restricted to some numbers, what has changed.
"""

import sys
from array import array
from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.common.areas import DIVISION_LENGTHS, VILLAGE_LENGTH, Area, AreaKind
from services.common.database import ReadSession
from services.common.positions import Cursor, Position
from services.tagging_api.domain import bitmaps
from services.tagging_api.domain.bitmaps import PERSON, STATE, TAG, TAG_SOURCE, Columns
from services.tagging_api.domain.rules import FieldName, HasTag, Rule
from services.tagging_api.models import Resident, ResidentPlace
from services.tagging_api.repository import audiences

_CODED = (
    STATE,
    FieldName.SEX.value,
    FieldName.POPULATION_TYPE.value,
    FieldName.ETHNICITY.value,
    FieldName.EDUCATION.value,
    FieldName.MARITAL_STATUS.value,
    FieldName.POLITICAL_STATUS.value,
)
_GATHERED = "string_agg(int4send(r.number), CAST('' AS bytea))"
_CURRENT = (
    "(p.start_date IS NULL OR p.start_date <= :day) AND (p.end_date IS NULL OR p.end_date > :day)"
)
_VALID = (
    "(a.valid_from IS NULL OR a.valid_from <= :day)"
    " AND (a.valid_until IS NULL OR a.valid_until > :day)"
)


_PEOPLE = f"""
SELECT v.name, v.value, {_GATHERED}
FROM resident r
CROSS JOIN LATERAL (VALUES {", ".join(f"('{name}', r.{name})" for name in _CODED)}) v (name, value)
WHERE v.value IS NOT NULL AND <these> GROUP BY v.name, v.value
"""
_BORN = f"""
SELECT {PERSON}, r.birth_date, {_GATHERED}
FROM resident r WHERE r.birth_date IS NOT NULL AND <these> GROUP BY r.birth_date
"""
_TAGS = f"""
SELECT a.tag_code, a.source, {_GATHERED}
FROM tag_assignment a JOIN resident r ON r.id = a.resident_id
WHERE {_VALID} AND <these> GROUP BY a.tag_code, a.source
"""
_HOMES = f"""
SELECT p.n, p.division_code, p.grid_code, p.compound_id, p.tenure, {_GATHERED}
FROM resident_place p JOIN resident r ON r.id = p.resident_id
WHERE {_CURRENT} AND <these>
GROUP BY p.n, p.division_code, p.grid_code, p.compound_id, p.tenure
"""
_LEASES = f"""
SELECT p.n, p.lease_end_date, {_GATHERED}
FROM resident_place p JOIN resident r ON r.id = p.resident_id
WHERE p.lease_end_date IS NOT NULL AND {_CURRENT} AND <these>
GROUP BY p.n, p.lease_end_date
"""
_HOUSEHOLDS = f"""
WITH household AS MATERIALIZED (
    SELECT p.dwelling_id, count(DISTINCT p.resident_id) AS size FROM resident_place p
    WHERE p.dwelling_id IS NOT NULL AND {_CURRENT} AND <theirs> GROUP BY p.dwelling_id
)
SELECT p.n, CAST(h.size AS integer), {_GATHERED}
FROM resident_place p
JOIN household h ON h.dwelling_id = p.dwelling_id
JOIN resident r ON r.id = p.resident_id
WHERE {_CURRENT} AND <these> GROUP BY p.n, h.size
"""
_SOME = "r.number = ANY (:numbers)"
_THEIRS = f"""p.dwelling_id IN (
    SELECT o.dwelling_id FROM resident_place o JOIN resident r ON r.id = o.resident_id WHERE {_SOME}
)"""

# Whoever something begins or ends for between two days, and who lives with them: at the day of the
# end it is over.
_TURNING = sa.text(f"""
WITH turning AS (
    SELECT resident_id, dwelling_id FROM resident_place
    WHERE (start_date > :after AND start_date <= :until)
        OR (end_date > :after AND end_date <= :until)
)
SELECT {_GATHERED} FROM resident r WHERE r.id IN (
    SELECT resident_id FROM turning
    UNION ALL
    SELECT p.resident_id FROM resident_place p JOIN turning t ON t.dwelling_id = p.dwelling_id
    UNION ALL
    SELECT resident_id FROM tag_assignment
    WHERE (valid_from > :after AND valid_from <= :until)
        OR (valid_until > :after AND valid_until <= :until)
)
""").bindparams(sa.bindparam("after", type_=sa.Date), sa.bindparam("until", type_=sa.Date))

# Events that are committed and have no position yet count, too: their changes are seen already.
_NEW = "(position > :after OR position IS NULL) AND type = ANY (:types)"
_HEAD = sa.text(f"""
SELECT h.epoch, h.position, h.purged, new.events, new.bytes,
    (SELECT jsonb_object_agg(source, epoch || '.' || position) FROM feed_cursor) AS followed
FROM feed_head h CROSS JOIN (
    SELECT count(*) AS events, coalesce(sum(pg_column_size(data)), 0) AS bytes
    FROM outbox WHERE {_NEW}
) new
""").bindparams(
    sa.bindparam("after", type_=sa.BigInteger), sa.bindparam("types", type_=ARRAY(sa.Text))
)
_CHANGED = sa.text(f"""
SELECT {_GATHERED} FROM resident r WHERE r.id IN (
    SELECT CAST(jsonb_array_elements_text(data -> 'resident_ids') AS uuid) FROM outbox WHERE {_NEW}
)
""").bindparams(
    sa.bindparam("after", type_=sa.BigInteger), sa.bindparam("types", type_=ARRAY(sa.Text))
)

# A city is read by all cores; nothing is sorted on disk for want of memory.
_FOR_ALL = sa.text("""
SELECT set_config('max_parallel_workers_per_gather', '4', true),
    set_config('work_mem', '64MB', true), set_config('statement_timeout', '600000', true)
""")


def _statement(sql: str, *, some: bool) -> sa.TextClause:
    text = sql.replace("<these>", _SOME if some else "TRUE")
    text = text.replace("<theirs>", _THEIRS if some else "TRUE")
    kinds = {"day": sa.Date(), "numbers": ARRAY(sa.Integer)}
    used = [sa.bindparam(name, type_=kind) for name, kind in kinds.items() if f":{name}" in text]
    return sa.text(text).bindparams(*used)


_ALL = (_PEOPLE, _BORN, _TAGS, _HOMES, _LEASES, _HOUSEHOLDS)
_STATEMENTS = {some: tuple(_statement(sql, some=some) for sql in _ALL) for some in (False, True)}


_Parts = dict[tuple[int, str], dict[Hashable, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Head:
    """How far the database is.

    `position` is that of this service's own feed and of those it follows; `events` are how many
    that matter here lie after the index, and `bytes` their size as stored.
    """

    own: Cursor
    purged: int
    position: Position
    events: int
    bytes: int


async def head(session: AsyncSession, *, service: str, after: int, types: Sequence[str]) -> Head:
    """One statement."""
    row = (await session.execute(_HEAD, {"after": after, "types": list(types)})).one()
    own = Cursor(row.epoch, row.position)
    # None while a snapshot is being read.
    followed: dict[str, str | None] = row.followed or {}
    cursors = [(source, Cursor.parse(at)) for source, at in followed.items() if at is not None]
    return Head(own, row.purged, Position.of([(service, own), *cursors]), row.events, row.bytes)


async def changed(session: AsyncSession, *, after: int, types: Sequence[str]) -> BitMap:
    """Whom the events after a position name."""
    return unpacked(await session.scalar(_CHANGED, {"after": after, "types": list(types)}))


async def turning(session: AsyncSession, *, one: date, other: date) -> BitMap:
    """Whoever is not the same on two days, though nobody did anything."""
    days = {"after": min(one, other), "until": max(one, other)}
    return unpacked(await session.scalar(_TURNING, days))


async def read(session: AsyncSession, *, day: date, numbers: BitMap | None = None) -> Columns:
    """Everything about these residents, or about all, as it is on a day."""
    some = numbers is not None
    if not some:
        await session.execute(_FOR_ALL)
    asked: dict[str, Any] = {"numbers": list(numbers)} if numbers is not None else {}
    people, born, tags, homes, leases, households = _STATEMENTS[some]
    found: Columns = defaultdict(dict)
    for name, value, packed in await _rows(session, people, asked):
        found[PERSON, name][value] = unpacked(packed)
    _add_dates(found, FieldName.BIRTH_DATE, await _rows(session, born, asked))
    asked["day"] = day
    _add_tags(found, await _rows(session, tags, asked))
    _add_homes(found, await _rows(session, homes, asked))
    _add_dates(found, FieldName.LEASE_END_DATE, await _rows(session, leases, asked))
    for layer, size, packed in await _rows(session, households, asked):
        found[layer, FieldName.HOUSEHOLD_SIZE][size] = unpacked(packed)
    return dict(found)


async def read_tags(session: AsyncSession, *, day: date, numbers: BitMap) -> Columns:
    """Who of these residents bears what: the columns `TAG_COLUMNS` of `read`."""
    statement = _STATEMENTS[True][_ALL.index(_TAGS)]
    found: Columns = defaultdict(dict)
    asked = {"numbers": list(numbers), "day": day}
    _add_tags(found, await _rows(session, statement, asked))
    return dict(found)


async def _rows(session: AsyncSession, statement: sa.TextClause, asked: Any) -> Sequence[Any]:
    return (await session.execute(statement, asked)).all()


def _add_tags(found: Columns, rows: Sequence[Any]) -> None:
    """A tag that several sources give is borne once."""
    for code, source, packed in rows:
        bearers = unpacked(packed)
        found[PERSON, TAG_SOURCE][code, source] = bearers
        found[PERSON, TAG][code] = found[PERSON, TAG].get(code, BitMap()) | bearers


def _add_dates(found: Columns, name: FieldName, rows: Sequence[Any]) -> None:
    """Each date's residents go to its year and to the digits of its day within the year."""
    parts: _Parts = defaultdict(_lists)
    for layer, day, packed in rows:
        years, digits = parts[layer, bitmaps.years(name)], parts[layer, bitmaps.digits(name)]
        years[day.year].append(packed)
        for digit in bitmaps.digits_of(day):
            digits[digit].append(packed)
    _join(found, parts)


def _add_homes(found: Columns, rows: Sequence[Any]) -> None:
    """A group is a home's division, grid, compound and tenure at once; each alone has many."""
    parts: _Parts = defaultdict(_lists)
    for layer, division, grid, compound, tenure, packed in rows:
        values = {
            AreaKind.DIVISION: division,
            AreaKind.GRID: grid,
            AreaKind.COMPOUND: compound and str(compound),
            FieldName.TENURE: tenure,
        }
        for name, value in values.items():
            if value is not None:
                parts[layer, name][value].append(packed)
    _join(found, parts)
    for (_, name), column in found.items():
        if name == AreaKind.DIVISION:
            column |= _divisions_above(column)


def _lists() -> dict[Hashable, list[bytes]]:
    return defaultdict(list)


def _join(found: Columns, parts: _Parts) -> None:
    for place, values in parts.items():
        found[place] = {value: unpacked(b"".join(packed)) for value, packed in values.items()}


def _divisions_above(villages: dict[Hashable, BitMap]) -> dict[Hashable, BitMap]:
    within: dict[Hashable, list[BitMap]] = defaultdict(list)
    for code, living in villages.items():
        for length in DIVISION_LENGTHS - {VILLAGE_LENGTH}:
            within[str(code)[:length]].append(living)
    return {code: BitMap.union(*living) for code, living in within.items()}


async def members(session: ReadSession, rule: Rule, *, areas: Sequence[Area], on: date) -> BitMap:
    """The numbers of an audience, by SQL. One statement."""
    return await _numbers(session, audiences.belongs(rule, areas, on))


async def bearers(session: ReadSession, rule: HasTag, *, on: date) -> BitMap:
    """Who bears a tag in the way the rule says, wherever they live. One statement."""
    return await _numbers(session, audiences.holds(rule, (), on))


async def _numbers(session: ReadSession, condition: sa.ColumnElement[bool]) -> BitMap:
    gathered = sa.func.string_agg(
        sa.func.int4send(Resident.number), sa.literal(b""), type_=sa.LargeBinary
    )
    return unpacked(await session.scalar(sa.select(gathered).where(condition)))


async def ids(session: ReadSession, numbers: Sequence[int]) -> list[tuple[int, UUID]]:
    """Number and id of residents, by number. One statement."""
    found = await session.execute(
        sa.select(Resident.number, Resident.id)
        .where(Resident.number == sa.any_(sa.literal(list(numbers), ARRAY(sa.Integer))))
        .order_by(Resident.number)
    )
    return [(row.number, row.id) for row in found]


async def households(session: ReadSession, resident_ids: Collection[UUID]) -> set[UUID]:
    """Those with a place in a dwelling where one of these residents has one, past or to come."""
    home, other = aliased(ResidentPlace), aliased(ResidentPlace)
    found = await session.scalars(
        sa.select(other.resident_id)
        .distinct()
        .join(home, home.dwelling_id == other.dwelling_id)
        .where(home.resident_id == sa.any_(sa.literal(list(resident_ids), ARRAY(sa.Uuid))))
    )
    return set(found.all())


def unpacked(packed: bytes | None) -> BitMap:
    """Numbers as PostgreSQL sends them: four bytes each, the highest first."""
    numbers = array("I", packed or b"")
    if sys.byteorder == "little":
        numbers.byteswap()
    return BitMap(numbers)
