"""The outbox: a change and its event in one transaction, numbered after the commit.

A sequence number is not commit order: a consumer reading `id > last` misses whatever a slower
writer commits later. So an event gets its position only once it is committed, from whoever locks
`feed_head`: the process that just wrote, right after its commit, and a sweep every second for what a
killed process left behind. Numbering sees committed rows only, so no open transaction, here or
anywhere in the cluster, holds it up. One numbering at a time means that positions become visible in
their order. See ADR-0003.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.common import telemetry
from services.common.clock import Clock
from services.common.database import UNREACHABLE, ReadSession, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.positions import Cursor, Position

log = structlog.get_logger(__name__)

KEEP = timedelta(days=7)
MAX_SUBJECTS = 1000
_NUMBER_AT_ONCE = 5000
_SWEEP_SECONDS = 1.0
_HAS_EVENTS = "shequ.has_events"


def channel(service: str) -> str:
    return f"feed_{service}"


def tables(metadata: sa.MetaData) -> tuple[sa.Table, sa.Table]:
    """`outbox` and `feed_head`, for the metadata of a service that produces events."""
    outbox = sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("position", sa.BigInteger),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("traceparent", sa.Text),
        sa.Column("data", JSONB(none_as_null=True)),
        sa.Index("outbox_position_key", "position", unique=True),
        sa.Index("outbox_unnumbered_idx", "id", postgresql_where=sa.text("position IS NULL")),
    )
    head = sa.Table(
        "feed_head",
        metadata,
        sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("epoch", sa.Text, nullable=False),
        # Which database this is: system identifier, timeline and database oid. A restore changes
        # at least one of them, and with it the epoch.
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        # Everything up to here is purged.
        sa.Column("purged", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("singleton", name="singleton"),
    )
    return outbox, head


OUTBOX, HEAD = tables(sa.MetaData())


@dataclass(frozen=True, slots=True)
class Event:
    """A fact for the neighbours. `data` holds allow-listed fields only: no name, number or phone.

    `id` is given where the same fact, found again, must be the same event.
    """

    type: str
    data: Mapping[str, Any]
    subject: str | None = None
    id: UUID | None = None


async def emit(session: WriteSession, *events: Event) -> None:
    """Write events in the caller's transaction."""
    if not events:
        return
    current = telemetry.outgoing_headers().get(telemetry.TRACEPARENT)
    await session.execute(
        sa.insert(OUTBOX),
        [
            {
                "event_id": event.id or new_id(),
                "type": event.type,
                "subject": event.subject,
                "traceparent": current,
                "data": event.data,
            }
            for event in events
        ],
    )
    mark(session)


def mark(session: WriteSession) -> None:
    """Say that events were written by a statement of one's own, so that they get numbered."""
    session.info[_HAS_EVENTS] = True


def has_events(session: WriteSession) -> bool:
    return bool(session.info.get(_HAS_EVENTS))


def batches(type: str, key: str, states: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Many subjects as events of up to 1,000 each: `{key: [state, ...]}`."""
    return [
        Event(type, {key: list(states[start : start + MAX_SUBJECTS])})
        for start in range(0, len(states), MAX_SUBJECTS)
    ]


class Publisher:
    """Numbers what is committed, one numbering at a time per process.

    Those who commit while one is under way share the next: under load a single numbering serves
    many writers.
    """

    def __init__(self, sessions: Sessions, *, service: str, clock: Clock) -> None:
        self._sessions = sessions
        self._service = service
        self._clock = clock
        self._running: asyncio.Task[Cursor] | None = None
        self._next: asyncio.Task[Cursor] | None = None

    async def publish(self) -> Position:
        """Number everything committed so far, and say how far that is.

        The caller's own committed events are at or below the position.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        # Shielded: a client that hangs up must not cancel the numbering of others.
        return Position.of([(self._service, await asyncio.shield(self._next))])

    async def publish_if_reachable(self) -> Position | None:
        """As `publish`, for what is committed and stays so: None if it is left to the sweep."""
        try:
            return await self.publish()
        except UNREACHABLE as failed:
            log.warning("outbox.not_numbered", error=type(failed).__name__)
            return None

    async def _after(self, running: "asyncio.Task[Cursor] | None") -> Cursor:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self.number()

    async def number(self) -> Cursor:
        """Give positions to all committed events that have none. Idempotent."""
        while True:
            async with self._sessions.write() as session:
                head = await _locked_head(session)
                # A statement of its own, after the lock: its snapshot sees every commit before it.
                numbered = await session.scalar(_number(head.position, self._service))
            if not numbered:
                return Cursor(head.epoch, head.position)
            if numbered < _NUMBER_AT_ONCE:
                return Cursor(head.epoch, head.position + numbered)

    async def sweep(self) -> None:
        """For ever: number what a killed process left, and delete old events."""
        turns = 0
        while True:
            with contextlib.suppress(*UNREACHABLE):
                if await self._left_behind():
                    await self.number()
                if turns % 600 == 0:
                    await self.purge()
            turns += 1
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _left_behind(self) -> bool:
        async with self._sessions.read() as session:
            waiting = sa.select(sa.exists().where(OUTBOX.c.position.is_(None)))
            return bool(await session.scalar(waiting))

    async def purge(self) -> None:
        """Delete events older than seven days; whoever is further behind starts from the snapshot."""
        async with self._sessions.write() as session:
            old = OUTBOX.c.time < self._clock.now() - KEEP
            gone = (
                sa.delete(OUTBOX)
                .where(OUTBOX.c.position.is_not(None), old)
                .returning(OUTBOX.c.position)
                .cte("gone")
            )
            last = await session.scalar(sa.select(sa.func.max(gone.c.position)))
            if last is not None:
                await session.execute(
                    sa.update(HEAD).values(purged=sa.func.greatest(HEAD.c.purged, last))
                )


def _number(position: int, service: str) -> sa.Select[Any]:
    """Number the waiting rows, move the head, notify; yields how many rows that were."""
    waiting = (
        sa.select(OUTBOX.c.id, sa.func.row_number().over(order_by=OUTBOX.c.id).label("n"))
        .where(OUTBOX.c.position.is_(None))
        .order_by(OUTBOX.c.id)
        .limit(_NUMBER_AT_ONCE)
        .cte("waiting")
    )
    numbered = (
        sa.update(OUTBOX)
        .where(OUTBOX.c.id == waiting.c.id)
        .values(position=sa.cast(position, sa.BigInteger) + waiting.c.n)
        .returning(OUTBOX.c.id)
        .cte("numbered")
    )
    many = sa.select(sa.func.count()).select_from(numbered).scalar_subquery()
    moved = (
        sa.update(HEAD)
        .where(many > 0)
        .values(position=HEAD.c.position + many)
        .returning(sa.func.pg_notify(channel(service), "").label("notified"))
        .cte("moved")
    )
    return sa.select(many).add_cte(moved)


async def head(session: ReadSession) -> tuple[Cursor, int]:
    """How far the feed has got, and up to where it is purged."""
    row = (await session.execute(sa.select(HEAD.c.epoch, HEAD.c.position, HEAD.c.purged))).one()
    return Cursor(row.epoch, row.position), row.purged


# The timeline of the log being written, for the control file learns of a new one only later.
_HERE = sa.literal_column(
    "(SELECT concat_ws('/', s.system_identifier,"
    " left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), d.oid)"
    " FROM pg_control_system() s, pg_database d WHERE d.datname = current_database())",
    sa.Text,
)


async def open_feed(sessions: Sessions) -> Cursor:
    """At start: make the head, or begin a new epoch if the database is not the one it was."""
    async with sessions.write() as session:
        await session.execute(
            insert(HEAD)
            .values(epoch=_new_epoch(), home=_HERE, position=0, purged=0)
            .on_conflict_do_nothing()
        )
        return await _locked_head(session)


async def _locked_head(session: WriteSession) -> Cursor:
    """The head, locked, of this database's epoch.

    Looked at for every numbering: services outlive a failover to a copy that lacks the last events,
    and the numbers of those must not be given to others in the same epoch.
    """
    found = (await session.execute(sa.select(HEAD, _HERE.label("here")).with_for_update())).one()
    if found.home == found.here:
        return Cursor(found.epoch, found.position)
    log.warning("feed.new_epoch", reason="restored")
    epoch = _new_epoch()
    await session.execute(sa.update(HEAD).values(epoch=epoch, home=found.here))
    return Cursor(epoch, found.position)


async def new_epoch(sessions: Sessions, *, seen: Cursor) -> None:
    """A consumer has seen a position of this epoch that was never given: a restored copy.

    Whoever follows this feed must start again from the snapshot.
    """
    async with sessions.write() as session:
        changed = await session.execute(
            sa.update(HEAD)
            .where(HEAD.c.epoch == seen.epoch, HEAD.c.position < seen.position)
            .values(epoch=_new_epoch())
            .returning(HEAD.c.epoch)
        )
        if changed.first() is not None:
            log.warning("feed.new_epoch", reason="consumer_ahead")


def _new_epoch() -> str:
    return secrets.token_hex(8)
