"""The consumer's side of a feed: each event counts exactly once.

The cursor is stored in the same transaction as what was derived from the events, and compared
under a lock before anything is applied: two processes that fetched the same page apply it once, and
one killed between two pages goes on where it was. An unknown epoch (a restored producer) or a
purged position means starting again from the snapshot, page by page, resumably; rows that the
snapshot did not mention are removed at its end.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import httpx
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from services.common import outbox
from services.common.database import UNREACHABLE, ReadSession, Sessions, WriteSession
from services.common.positions import Cursor, Position, PositionNotReached

log = structlog.get_logger(__name__)

_WAIT_SECONDS = 20
_REACH_SECONDS = 1.0


def table(metadata: sa.MetaData) -> sa.Table:
    """`feed_cursor`, for the metadata of a service that consumes feeds."""
    return sa.Table(
        "feed_cursor",
        metadata,
        sa.Column("source", sa.Text, primary_key=True),
        # Null while a snapshot is being read; then `position` is where to follow from after it.
        sa.Column("epoch", sa.Text),
        sa.Column("position", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("snapshot_start", sa.Text),
        sa.Column("snapshot_after", sa.Text),
        # Counts snapshots. Rows carry the generation they were last stated in.
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    )


_CURSOR = table(sa.MetaData())


@dataclass(frozen=True, slots=True)
class Fact:
    """What a handler gets: an event, or one page item of a snapshot (then without an id)."""

    type: str
    data: Mapping[str, Any]
    event_id: str | None


class Projection(Protocol):
    """What a service derives from one neighbour's feed."""

    source: str
    types: Sequence[str]

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        """Derive. State from an older generation or version is replaced; newer is kept."""
        ...

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        """Remove what the snapshot of `generation` did not mention."""
        ...


class Follower:
    """Keeps one projection up with its feed."""

    def __init__(
        self,
        projection: Projection,
        *,
        sessions: Sessions,
        http: httpx.AsyncClient,
        publisher: outbox.Publisher | None = None,
    ) -> None:
        """`publisher` numbers the events that the projection itself gives rise to."""
        self._projection = projection
        self._sessions = sessions
        self._http = http
        self._publisher = publisher
        self._moved = asyncio.Event()
        self.caught_up = False

    @property
    def source(self) -> str:
        return self._projection.source

    async def run(self) -> None:
        """For ever: fetch, apply, wait; back off while the neighbour is away."""
        delay = 0.1
        while True:
            try:
                await self.step(wait=_WAIT_SECONDS if self.caught_up else 0)
                delay = 0.1
            except (httpx.HTTPError, *UNREACHABLE) as failed:
                log.warning("feed.unreachable", source=self.source, error=type(failed).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)

    async def step(self, *, wait: float = 0) -> bool:
        """One page. Returns whether it brought anything."""
        async with self._sessions.read() as session:
            cursor = await self._read(session)
        if cursor.epoch is None:
            return await self._snapshot_page(cursor)
        return await self._feed_page(cursor, wait)

    async def _read(self, session: ReadSession, *, lock: bool = False) -> Any:
        statement = sa.select(_CURSOR).where(_CURSOR.c.source == self.source)
        row = (
            await session.execute(statement.with_for_update() if lock else statement)
        ).one_or_none()
        if row is not None:
            return row
        async with self._sessions.write() as writer:
            await writer.execute(
                insert(_CURSOR).values(source=self.source).on_conflict_do_nothing()
            )
        return (await session.execute(statement)).one()

    async def _feed_page(self, cursor: Any, wait: float) -> bool:
        after = str(Cursor(cursor.epoch, cursor.position))
        answer = await self._http.get(
            "/internal/feed",
            params={"after": after, "wait": wait, "type": list(self._projection.types)},
            timeout=httpx.Timeout(wait + 10, connect=2),
        )
        if answer.status_code == HTTPStatus.GONE:
            log.warning("feed.gone", source=self.source)
            await self._start_again(cursor)
            return True
        answer.raise_for_status()
        page = answer.json()
        if page["next"] != after:
            facts = [Fact(e["type"], e["data"], e["id"]) for e in page["events"]]
            moved = Cursor.parse(page["next"])
            await self._apply(cursor, facts, epoch=moved.epoch, position=moved.position)
        self.caught_up = self.caught_up or page["next"] == page["head"]
        return bool(page["events"])

    async def _snapshot_page(self, cursor: Any) -> bool:
        params = {"after": cursor.snapshot_after} if cursor.snapshot_after else {}
        answer = await self._http.get("/internal/snapshot", params=params)
        answer.raise_for_status()
        page = answer.json()
        first = cursor.snapshot_start is None
        start = page["position"] if first else cursor.snapshot_start
        generation = cursor.generation + 1 if first else cursor.generation
        if page["next"] is None:
            follow = Cursor.parse(start)
            values = {"epoch": follow.epoch, "position": follow.position}
            values |= {"snapshot_start": None, "snapshot_after": None}
        else:
            values = {"snapshot_start": start, "snapshot_after": page["next"]}
        facts = [Fact(item["type"], item["data"], None) for item in page["items"]]
        await self._apply(cursor, facts, generation=generation, **values)
        return True

    async def _start_again(self, cursor: Any) -> None:
        await self._apply(
            cursor, [], epoch=None, position=0, snapshot_start=None, snapshot_after=None
        )

    async def _apply(self, seen: Any, facts: Sequence[Fact], **values: Any) -> None:
        generation = values.get("generation", seen.generation)
        async with self._sessions.write() as session:
            if await self._read(session, lock=True) != seen:
                return  # another process has applied this page; it stands, ours is dropped
            wanted = [fact for fact in facts if fact.type in self._projection.types]
            if wanted:
                await self._projection.apply(session, wanted, generation)
            if seen.epoch is None and values.get("epoch") is not None:
                await self._projection.forget_before(session, generation)
            await session.execute(
                sa.update(_CURSOR).where(_CURSOR.c.source == self.source).values(**values)
            )
        if self._publisher is not None and outbox.has_events(session):
            await self._publisher.publish_if_reachable()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def cursor(self, session: ReadSession) -> Cursor | None:
        """How far the projection is; None before its first snapshot is complete."""
        row = await self._read(session)
        return Cursor(row.epoch, row.position) if row.epoch is not None else None

    async def catch_up(self) -> None:
        """Wait up to a second for what the neighbour has committed by now.

        For whoever is told of a row that has not arrived yet; holds no connection meanwhile. Gives
        up in silence: the neighbour may be away, and there may be no such row.
        """
        async with self._sessions.read() as session:
            at = await self.cursor(session)
        if at is None:
            return
        try:
            answer = await self._http.get(
                "/internal/feed",
                params={"after": str(at), "limit": 1},
                timeout=httpx.Timeout(_REACH_SECONDS),
            )
            answer.raise_for_status()
            await self.reach(Cursor.parse(answer.json()["head"]))
        except (httpx.HTTPError, PositionNotReached) as failed:
            log.info("feed.not_caught_up", source=self.source, error=type(failed).__name__)

    async def reach(self, wanted: Cursor) -> None:
        """Wait up to a second until the projection is at least there. Raises PositionNotReached."""
        deadline = asyncio.get_running_loop().time() + _REACH_SECONDS
        while True:
            moved = self._moved
            async with self._sessions.read() as session:
                at = await self.cursor(session)
            if at is not None and at.epoch == wanted.epoch and at.position >= wanted.position:
                return
            remaining = deadline - asyncio.get_running_loop().time()
            if remaining <= 0:
                raise PositionNotReached()
            try:
                # Another process may be the one that applies: look again every 50 ms in any case.
                await asyncio.wait_for(moved.wait(), min(remaining, 0.05))
            except TimeoutError:
                continue


async def reach(followers: Sequence[Follower], position: str | None, *, own: str) -> None:
    """Wait for every feed that `position` names.

    What this service wrote itself is there already, and a feed that it does not follow cannot be
    waited for: such a position is never reached.
    """
    if position is None:
        return
    by_source = {follower.source: follower for follower in followers}
    for service, cursor in Position.parse(position).cursors:
        if service == own:
            continue
        if service not in by_source:
            raise PositionNotReached()
        await by_source[service].reach(cursor)


async def current(followers: Sequence[Follower], session: ReadSession) -> Position:
    """How far this service's projections are."""
    found = [(f.source, await f.cursor(session)) for f in followers]
    return Position.of((source, cursor) for source, cursor in found if cursor is not None)
