"""Loading the city's index, as a ratio to reading its assignments alone row by row.

The baseline is the plain way: a cursor over number and tag of each assignment, and an array for each
tag. Each load is that of a process that is new, with the whole service imported, which also says what
memory it has then: its share of all pages (PSS).
"""

import asyncio
import multiprocessing
import time
from array import array
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pyroaring import BitMap

from bench import _city
from bench._city import City
from services.cli import database
from services.common import outbox
from services.common.clock import SystemClock
from services.tagging_api import main
from services.tagging_api.service.index import FollowingIndex

TARGET = 0.5
_ROUNDS = 3
_ROWS = """
SELECT a.tag_code, r.number FROM tag_assignment a JOIN resident r ON r.id = a.resident_id
"""


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


def run() -> Result:
    with _city.city() as made:
        return measured(made)


def measured(made: City) -> Result:
    plain = asyncio.run(_row_by_row(made))
    workers = multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1)
    with workers:
        loaded = workers.map(_worker, [made.url] * _ROUNDS, chunksize=1)
    seconds = min(each[0] for each in loaded)
    print(f"{made.residents:,} residents; {_city.load()}")
    print(f"loaded in {seconds:.2f} s, row by row the assignments alone in {plain:.2f} s")
    print(
        f"memory of a worker: {max(each[2] for each in loaded):.0f} MB,"
        f" {max(each[1] for each in loaded):.0f} MB before"
    )
    return Result(seconds / plain)


async def _row_by_row(made: City) -> float:
    connection = await database.connect(made.url)
    try:
        started = time.perf_counter()
        numbers: dict[str, array[int]] = defaultdict(lambda: array("I"))
        async with connection.transaction():
            async for tag, number in connection.cursor(_ROWS, prefetch=10_000):
                numbers[tag].append(number)
        bitmaps = {tag: BitMap(found) for tag, found in numbers.items()}
        assert len(bitmaps) >= _city.TAGS
        return time.perf_counter() - started
    finally:
        await connection.close()


def _worker(url: str) -> tuple[float, float, float]:
    """Seconds to load, and megabytes before and after, of a process that is new."""
    assert main.NAME == _city.SERVICE
    return asyncio.run(_load(url))


async def _load(url: str) -> tuple[float, float, float]:
    async with _city.sessions(url) as sessions:
        await outbox.open_feed(sessions)
        before = _megabytes()
        index = FollowingIndex(sessions, service=_city.SERVICE, clock=SystemClock())
        started = time.perf_counter()
        await index.refresh()
        return time.perf_counter() - started, before, _megabytes()


def _megabytes() -> float:
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(kilobytes) / 1024
