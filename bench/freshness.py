"""From the commit of an assignment to its being counted, while 500 a second arrive.

The ratio is of the 99th percentile to what one count of a tag takes PostgreSQL meanwhile: whoever
asked the truth instead would wait that long for each answer. Each assignment is a transaction with its
event, numbered after the commit, as the service writes it; other workers write, and this process
holds the index.
"""

import asyncio
import multiprocessing
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr
from pyroaring import BitMap

from bench import _city
from bench._city import City
from services.common import clock as common_clock
from services.common import outbox
from services.common.areas import Area
from services.common.clock import SystemClock
from services.common.database import Notifications, Sessions
from services.common.settings import DatabaseSettings
from services.tagging_api.domain.bitmaps import TAG
from services.tagging_api.domain.rules import HasTag
from services.tagging_api.models import Resident
from services.tagging_api.repository import assignments, audiences
from services.tagging_api.schemas.tags import AssignmentSource
from services.tagging_api.service import events
from services.tagging_api.service.index import FollowingIndex

TARGET = 1.0
_A_SECOND = 500
_SECONDS = 15
_PROCESSES = 2
_WRITERS = 8
_TAG = "bench_fresh"
_LIMIT = 200.0

# Number, and by the clock of the machine when its assignment was committed.
Committed = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


@dataclass(slots=True)
class _Watched:
    """`seen` says when a number was first counted."""

    sessions: Sessions
    index: FollowingIndex
    seen: dict[int, float] = field(default_factory=dict[int, float])
    counts: list[float] = field(default_factory=list[float])


def run() -> Result:
    with _city.city() as made:
        return asyncio.run(measured(made))


async def measured(made: City) -> Result:
    async with _city.sessions(made.url) as sessions:
        await outbox.open_feed(sessions)
        people = await _people(sessions)
        this = _Watched(
            sessions, FollowingIndex(sessions, service=_city.SERVICE, clock=SystemClock())
        )
        await this.index.refresh()
        settings = DatabaseSettings(url=SecretStr(made.url))
        notifications = Notifications(settings, channel=outbox.channel(_city.SERVICE))
        work = (
            notifications.run(),
            this.index.run(notifications),
            _watch(this),
            _count_in_sql(this),
        )
        background = [asyncio.create_task(each) for each in work]
        shares = [(made.url, people[n::_PROCESSES]) for n in range(_PROCESSES)]
        with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
            written = await asyncio.to_thread(pool.starmap, _write_share, shares)
        # The last ones: nothing else is measured any more.
        await asyncio.sleep(1)
        for task in background:
            task.cancel()
        await asyncio.wait(background)
    committed = sorted((at, number) for share in written for number, at in share)
    took = sorted(max(0.0, this.seen[number] - at) * 1000 for at, number in committed)
    worst, spent = took[len(took) * 99 // 100], committed[-1][0] - committed[0][0]
    print(f"{len(took):,} assignments, {len(took) / spent:.0f} a second; {_city.load()}")
    print(
        f"counted after {median(took):.0f} ms, p99 {worst:.0f} ms (limit {_LIMIT:.0f});"
        f" PostgreSQL counts in {median(this.counts):.0f} ms meanwhile"
    )
    return Result(worst / median(this.counts))


async def _people(sessions: Sessions) -> list[tuple[int, UUID]]:
    async with sessions.write() as session:
        await session.execute(
            sa.text("DELETE FROM tag_assignment WHERE tag_code = :tag"), {"tag": _TAG}
        )
    draw = random.Random(518)  # noqa: S311 - no secret
    async with sessions.read() as session:
        rows = await session.execute(
            sa.select(Resident.number, Resident.id).order_by(Resident.number)
        )
        return draw.sample([(row.number, row.id) for row in rows], _A_SECOND * _SECONDS)


def _write_share(url: str, people: list[tuple[int, UUID]]) -> Committed:
    """In a process of its own: its share of the assignments, each when its time has come."""
    return asyncio.run(_write_all(url, people))


async def _write_all(url: str, people: list[tuple[int, UUID]]) -> Committed:
    async with _city.sessions(url) as sessions:
        publisher = outbox.Publisher(sessions, service=_city.SERVICE, clock=SystemClock())
        started = time.monotonic()
        shares = (_write(sessions, publisher, people, n, started) for n in range(_WRITERS))
        return [each for share in await asyncio.gather(*shares) for each in share]


async def _write(
    sessions: Sessions,
    publisher: outbox.Publisher,
    people: list[tuple[int, UUID]],
    writer: int,
    started: float,
) -> Committed:
    committed: Committed = []
    for n in range(writer, len(people), _WRITERS):
        due = started + n * _PROCESSES / _A_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        number, resident_id = people[n]
        async with sessions.write() as session:
            made = await assignments.assign(
                session,
                [(_TAG, resident_id)],
                source=AssignmentSource.WORKER,
                assigned_by=None,
                at=datetime.now(UTC),
            )
            await outbox.emit(session, *events.assignment_changed(made, assigned=True))
        committed.append((number, time.monotonic()))
        await publisher.publish()
    return committed


async def _watch(this: _Watched) -> None:
    """Look every other millisecond who is counted by now."""
    known, version = BitMap(), this.index.version
    while True:
        await asyncio.sleep(0.002)
        if this.index.version == version or this.index.bitmaps is None:
            continue
        now, version = time.monotonic(), this.index.version
        counted = this.index.bitmaps.column(TAG).get(_TAG, BitMap())
        this.seen.update(dict.fromkeys(counted - known, now))
        known = counted.copy()


async def _count_in_sql(this: _Watched) -> None:
    """Now and then, so as not to be the load itself."""
    on = common_clock.today(SystemClock())
    areas = (Area.parse(_city.CITY),)
    while True:
        async with this.sessions.read() as session:
            started = time.perf_counter()
            await audiences.count(session, HasTag(_city.tag(1)), areas=areas, on=on)
            this.counts.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(2)
