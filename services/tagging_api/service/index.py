"""The bitmap index of one process: loaded from PostgreSQL, then kept up with this service's own feed.

An event names residents; the index forgets what it knew of them and reads how they are now. State,
not differences: order and repetition do not matter, and neither does how the change came about. All
that is read at once is one snapshot of the database, and it is put in between two awaits, so a count
sees one state. Its position is how far the own feed and those followed had got in that snapshot: what
is counted is at least that new. Every process has an index of its own, and all follow one feed.

A new epoch (a restored database), a purged position, or a change of so many that reading all costs
less: the index is read anew. At midnight in Shanghai, whenever the clock gets there, those for whom
something begins or ends are read again; days missed are made up for by the next look.
"""

import asyncio
import contextlib
import ctypes
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import structlog
from pyroaring import BitMap
from sqlalchemy.ext.asyncio import AsyncSession

from services.common import clock as common_clock
from services.common.clock import Clock
from services.common.database import UNREACHABLE, Notifications, Sessions
from services.common.positions import Cursor, Position, PositionNotReached
from services.tagging_api.domain.bitmaps import TAG_COLUMNS, Column, Columns, Index
from services.tagging_api.repository import index as repository
from services.tagging_api.repository.index import Head
from services.tagging_api.service import events

log = structlog.get_logger(__name__)

# After these all about somebody is read again, and after those only which tags they bear.
_OF_PEOPLE: Final = (events.RESIDENT_CHANGED,)
_OF_TAGS: Final = (events.ASSIGNMENT_CHANGED,)
# Between two looks: changes that come one by one are read together.
_PAUSE_SECONDS: Final = 0.02
# Without a notification: for a lost one, and for midnight.
_LOOK_AGAIN_SECONDS: Final = 1.0
_REACH_SECONDS: Final = 1.0
# Beyond either, reading everything is quicker: events as stored, and one in so many residents.
_MANY_BYTES: Final = 8 * 1024 * 1024
_MANY: Final = 16
_FEW: Final = 1000


class FollowingIndex:
    """`bitmaps` is None until it has been read for the first time, and so is `day`."""

    def __init__(self, sessions: Sessions, *, service: str, clock: Clock) -> None:
        self._sessions = sessions
        self._service = service
        self._clock = clock
        self._own = Cursor("", 0)
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.bitmaps: Index | None = None
        self.position = Position.of(())
        self.as_of = clock.now()
        # Another one after every change.
        self.version = 0

    async def loaded(self) -> bool:
        """Whether it can answer: a check of readiness."""
        return self.bitmaps is not None

    async def run(self, notifications: Notifications) -> None:
        """For ever."""
        try:
            while True:
                notified = notifications.next
                try:
                    await self.refresh()
                except UNREACHABLE as failed:
                    log.warning("index.behind", error=type(failed).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)
                await notifications.wait(notified, timeout=_LOOK_AGAIN_SECONDS)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def refresh(self) -> None:
        """Be at least as new as the database is at this moment. Raises what a database raises.

        Those who ask while one refresh is under way share the next.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        # Shielded: a client that hangs up must not cancel it for others.
        await asyncio.shield(self._next)

    async def _after(self, running: "asyncio.Task[None] | None") -> None:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        await self._look()

    def covers(self, position: Position) -> bool:
        """Whether all of the position is in the index."""
        mine = dict(self.position.cursors)
        return self.bitmaps is not None and all(
            service in mine
            and mine[service].epoch == cursor.epoch
            and mine[service].position >= cursor.position
            for service, cursor in position.cursors
        )

    async def reach(self, position: Position) -> None:
        """Wait up to a second until the position is covered. Raises PositionNotReached.

        The followers have reached their parts of it already, or this is in vain.
        """
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                while not self.covers(position):
                    await self.refresh()
                    if not self.covers(position):
                        await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise PositionNotReached() from None

    async def _look(self) -> None:
        as_of = self._clock.now()
        day = common_clock.today(self._clock)
        async with self._sessions.writing() as session:
            # One snapshot for all statements: they tell of one state.
            await session.connection(
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            )
            head = await repository.head(
                session,
                service=self._service,
                after=self._own.position,
                types=(*_OF_PEOPLE, *_OF_TAGS),
            )
            index = self.bitmaps
            if index is None or self._is_lost(head) or head.bytes > _MANY_BYTES:
                changes = None
            else:
                changes = await self._changes(session, index, head, day)
            if index is None or changes is None:
                index, changes = Index(day, await repository.read(session, day=day)), None
            else:
                await changes.read(session, day)
        # No await from here on: a count sees all of it or nothing.
        if changes is None:
            self.bitmaps = index
            _give_back()
            log.info("index.loaded", residents=index.size)
        else:
            changes.apply(index)
            index.day = day
        if changes is None or changes.any:
            self.version += 1
        self._own, self.position, self.as_of = head.own, head.position, as_of

    def _is_lost(self, head: Head) -> bool:
        """Whether the feed no longer tells what happened since the index was read."""
        mine = self._own
        return mine.epoch != head.own.epoch or not (
            head.purged <= mine.position <= head.own.position
        )

    async def _changes(
        self, session: AsyncSession, index: Index, head: Head, day: date
    ) -> "_Changes | None":
        """Whom to read again; None for everybody."""
        changes, after = _Changes(), self._own.position
        if head.events:
            changes.people |= await repository.changed(session, after=after, types=_OF_PEOPLE)
            changes.bearers |= await repository.changed(session, after=after, types=_OF_TAGS)
        if day != index.day:
            changes.people |= await repository.turning(session, one=index.day, other=day)
        changes.bearers -= changes.people
        many = max(_FEW, index.size // _MANY)
        return changes if len(changes.people) + len(changes.bearers) <= many else None


@dataclass(slots=True)
class _Changes:
    """Residents to read again: all about some, and of others only which tags they bear."""

    people: BitMap = field(default_factory=BitMap)
    bearers: BitMap = field(default_factory=BitMap)
    _found: Columns = field(default_factory=dict[tuple[int, str], Column])
    _tags: Columns = field(default_factory=dict[tuple[int, str], Column])

    @property
    def any(self) -> bool:
        return bool(self.people or self.bearers)

    async def read(self, session: AsyncSession, day: date) -> None:
        if self.people:
            self._found = await repository.read(session, day=day, numbers=self.people)
        if self.bearers:
            self._tags = await repository.read_tags(session, day=day, numbers=self.bearers)

    def apply(self, index: Index) -> None:
        if self.people:
            index.change(self.people, self._found)
        if self.bearers:
            index.change(self.bearers, self._tags, only=TAG_COLUMNS)


def _give_back() -> None:
    """Let the system have the memory that the load took and has freed: a tenth of the process.

    The C library keeps it for what may come, and nothing like it comes for weeks.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
