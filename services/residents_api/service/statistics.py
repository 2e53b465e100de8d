"""Statistics: counted behind the writers, shown without small counts of sensitive groups."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import date

import structlog
from sqlalchemy import text

from services.common import database
from services.common.areas import VILLAGE_LENGTH, Area, AreaKind
from services.common.clock import Clock, today
from services.common.database import ReadSession, Sessions
from services.residents_api.domain import disclosure
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.repository import statistics as repository
from services.residents_api.schemas.statistics import (
    AgeBand,
    GroupCount,
    MonthCount,
    PopulationRead,
    TrendRead,
)

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.4
_VILLAGES_AT_ONCE = 8
# Whichever process comes first counts; the others let it.
_COUNTING = text("SELECT pg_try_advisory_xact_lock(hashtextextended('count villages', 0))")

SENSITIVE = ("population_type", "ethnicity", "political_status")
_UNKNOWN = ""


async def keep_counted(sessions: Sessions, clock: Clock) -> None:
    """For ever: count villages that were written to, and all of them once a day."""
    while True:
        try:
            counted = await count_some(sessions, clock)
        except database.UNREACHABLE as failed:
            log.warning("statistics.not_counted", error=type(failed).__name__)
            counted = False
        if not counted:
            await asyncio.sleep(_LOOK_SECONDS)


async def count_some(sessions: Sessions, clock: Clock) -> bool:
    """Count what was written to, and some of what is to be counted for the day. Whether there may
    be more.
    """
    day = today(clock)
    async with sessions.read() as session:
        if not await repository.anything_to_count(session, today=day):
            return False
    async with sessions.write() as session:
        if not await session.scalar(_COUNTING):
            return False
        villages = await repository.take_written(session, limit=_VILLAGES_AT_ONCE)
        # Whatever is committed from here on marks its village anew, if this does not see it.
        if len(villages) < _VILLAGES_AT_ONCE:
            villages.update(
                await repository.of_another_day(session, today=day, limit=_VILLAGES_AT_ONCE)
            )
        for village in sorted(villages):
            await repository.count(session, village, today=day)
        if villages:
            await repository.add_up(session, villages)
    return bool(villages)


async def population(
    session: ReadSession, area: Area, areas: Sequence[Area], *, village: str | None
) -> PopulationRead:
    """`areas` are the area, or what became of it; `village` that of a compound."""
    found = await repository.counts(session, areas)
    hidden: dict[str, set[str]] = {dimension: set() for dimension in SENSITIVE}
    for one in areas:
        for dimension, categories in (await _hidden(session, one, village=village)).items():
            hidden[dimension] |= categories

    def number(dimension: str) -> int:
        return found.get(dimension, {}).get("", 0)

    groups = {
        f"by_{dimension}": _groups(
            dimension, found.get(dimension, {}), hidden.get(dimension, set())
        )
        for dimension in (*SENSITIVE, "tenure")
    }
    return PopulationRead(
        area=area.code,
        population=number("population"),
        households=number("households"),
        dwellings=number("dwellings"),
        vacant_dwellings=number("vacant"),
        by_age_and_sex=_bands(found.get("age_and_sex", {})),
        **groups,
    )


async def _hidden(session: ReadSession, area: Area, *, village: str | None) -> dict[str, set[str]]:
    levels = await repository.siblings(session, area, village=village, dimensions=SENSITIVE)
    code = village or area.code[:VILLAGE_LENGTH]
    lengths = [length for length in repository.DIVISION_LENGTHS if length <= len(code)]
    keys = [code[:length] for length in lengths]
    if area.kind is not AreaKind.DIVISION:
        keys.append(area.code)
    found: dict[str, set[str]] = {}
    for dimension in SENSITIVE:
        above: set[str] | None = None
        whole: Mapping[str, int] = {}
        for key, level in zip(keys, levels, strict=True):
            rows = level[dimension]
            table = {child: counts for child, counts in rows.items() if len(child) == len(key)}
            table.setdefault(key, {})
            unlisted = {
                category: count - sum(counts.get(category, 0) for counts in table.values())
                for category, count in whole.items()
            }
            hidden = disclosure.hidden(table, categories(dimension), above=above, unlisted=unlisted)
            above, whole = hidden[key], table[key]
        found[dimension] = above or set()
    return found


def categories(dimension: str) -> tuple[str, ...]:
    """All that a person can be of, what is not known among it."""
    return (*(entry.code for entry in CODE_LISTS[dimension].entries), _UNKNOWN)


def _groups(dimension: str, counts: Mapping[str, int], hidden: Collection[str]) -> list[GroupCount]:
    """In the order of the code list; groups of nobody only if that is not to be known."""
    return [
        GroupCount(
            code=code or None,
            count=None if code in hidden else counts[code],
            suppressed=code in hidden,
        )
        for code in categories(dimension)
        if code in hidden or counts.get(code)
    ]


def _bands(counts: Mapping[str, int]) -> list[AgeBand]:
    starts: list[int | None] = [*range(0, repository.OLDEST + 1, repository.BAND), None]
    return [
        AgeBand(
            age_from=start,
            age_to=None
            if start is None or start == repository.OLDEST
            else start + repository.BAND - 1,
            male=counts.get(f"{_text(start)}:male", 0),
            female=counts.get(f"{_text(start)}:female", 0),
            other=counts.get(f"{_text(start)}:", 0),
        )
        for start in starts
    ]


def _text(start: int | None) -> str:
    return _UNKNOWN if start is None else str(start)


async def trend(
    session: ReadSession, area: Area, areas: Sequence[Area], *, months: int, today: date
) -> TrendRead:
    """The months up to the present one."""
    firsts = [_month(today, back) for back in reversed(range(months))]
    found = await repository.months(session, areas, since=firsts[0])
    none = repository.Months()
    items = [
        MonthCount(
            month=f"{first:%Y-%m}",
            residents=(row := found.get(first, none)).residents,
            moved_in=row.moved_in,
            moved_out=row.moved_out,
        )
        for first in firsts
    ]
    return TrendRead(area=area.code, months=items)


def _month(day: date, back: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return date(years, month + 1, 1)
