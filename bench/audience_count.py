"""One count of an audience, as a ratio to what DuckDB and PostgreSQL take for the same question.

"(A or B) and not C, women from 25 to 35, in 100 communities", of 870,000 people with 7.7 million
assignments. Bitmaps, on one core, are to take at most a fifth of what DuckDB takes on all of them,
and a twentieth of what the service's own SQL takes: the ratio is to the shorter of those times.
The same question of ten times the people is answered from ten cities put side by side.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from pyroaring import BitMap

from bench import _city
from bench._city import City
from services.common import clock as common_clock
from services.common import outbox
from services.common.areas import Area
from services.common.clock import SystemClock, latest_birth
from services.tagging_api.domain.bitmaps import Columns, Index, View
from services.tagging_api.domain.rules import Rule
from services.tagging_api.repository import audiences
from services.tagging_api.service.index import FollowingIndex
from services.tagging_api.service.targeting import Targeting

TARGET = 1.0
_ROUNDS = 500
_DUCKDB, _POSTGRESQL = 5, 20
_AREAS = (Area.parse(_city.CITY),)

_EXPORT = {
    "person": "SELECT number, sex, birth_date FROM resident",
    "home": "SELECT r.number, p.division_code FROM resident_place p JOIN resident r ON r.id = p.resident_id",
    "label": "SELECT r.number, right(a.tag_code, 2)::int AS tag FROM tag_assignment a JOIN resident r ON r.id = a.resident_id",
}
_DUCKDB_QUESTION = """
SELECT count(*) FROM person
WHERE sex = 'female' AND birth_date > $after AND birth_date <= $until
AND number IN (SELECT number FROM label WHERE tag IN (1, 2))
AND number NOT IN (SELECT number FROM label WHERE tag = 3)
AND number IN (SELECT number FROM home WHERE division_code IN (SELECT unnest($places)))
"""


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


def run() -> Result:
    with _city.city() as made:
        return asyncio.run(measured(made))


async def measured(made: City) -> Result:
    rule, on = _city.question(), common_clock.today(SystemClock())
    async with _city.sessions(made.url) as sessions:
        await outbox.open_feed(sessions)
        index = FollowingIndex(sessions, service=_city.SERVICE, clock=SystemClock())
        targeting = Targeting(index, service=_city.SERVICE)
        await index.refresh()
        async with sessions.read() as session:
            bitmaps: list[float] = []
            count = 0
            for _ in range(_ROUNDS):
                started = time.perf_counter()
                count = await targeting.count(session, rule, areas=_AREAS, on=on)
                bitmaps.append((time.perf_counter() - started) * 1000)
            sql: list[float] = []
            for _ in range(7):
                started = time.perf_counter()
                assert await audiences.count(session, rule, areas=_AREAS, on=on) == count
                sql.append((time.perf_counter() - started) * 1000)
    duck = await _duckdb(made, on, count)
    assert index.bitmaps is not None
    tenfold = _tenfold(index.bitmaps, rule, count)
    print(f"{count:,} of {made.residents:,}; {_city.load()}")
    print(
        f"bitmaps {median(bitmaps):.3f} ms (p99 {sorted(bitmaps)[-5]:.3f}),"
        f" of ten times the people {tenfold:.3f} ms;"
        f" DuckDB {duck:.1f} ms, PostgreSQL {median(sql):.1f} ms"
    )
    print(
        f"DuckDB takes {duck / median(bitmaps):.1f} times as long,"
        f" PostgreSQL {median(sql) / median(bitmaps):.1f} times"
    )
    return Result(median(bitmaps) / min(duck / _DUCKDB, median(sql) / _POSTGRESQL))


async def _duckdb(made: City, on: date, count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="shequ-bench-") as directory:
        database = duckdb.connect()
        for name, query in _EXPORT.items():
            path = Path(directory) / f"{name}.csv"
            await _city.export(made, query, path)
            database.execute(f"CREATE TABLE {name} AS FROM read_csv('{path}')")
    values: dict[str, Any] = {
        "after": latest_birth(on, 36),
        "until": latest_birth(on, 25),
        # As codes were read: whole numbers.
        "places": [int(code) for code in _city.communities()[:100]],
    }

    def ask() -> None:
        found = database.execute(_DUCKDB_QUESTION, values).fetchone()
        assert found == (count,), found

    return median(_city.spent(ask, 30))


def _tenfold(index: Index, rule: Rule, count: int) -> float:
    """Milliseconds for ten cities; the columns that the question does not ask for are left out."""
    asked = {"tag", "sex", "birth_date.year", "birth_date.digit", "division"}
    size = index.size
    columns: Columns = {
        (layer, name): {
            value: BitMap.union(*(bitmap.shift(n * size) for n in range(10)))
            for value, bitmap in column.items()
            if name != "tag" or value in {_city.tag(n) for n in (1, 2, 3)}
        }
        for (layer, name), column in index.columns.items()
        if name in asked
    }
    large = Index(index.day, columns)

    def ask() -> None:
        found = View(large, areas=_AREAS, on=index.day).found(rule)
        assert len(found) == 10 * count

    return median(_city.spent(ask, 100))
