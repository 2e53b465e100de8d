"""A small real consumer of the board's feed: it counts events, and mirrors the notes.

Counting is not idempotent, on purpose: an event that is applied twice, or left out, shows.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Engine
from sqlalchemy.util import await_only

from services.common import database, http
from services.common.database import Sessions, WriteSession
from services.common.projection import Fact, Follower
from tests.common.board import BOARD_CLEANED, NAME, NOTE_CHANGED, settings_of
from tests.houses import SERVICE_TOKEN

_METADATA = sa.MetaData()
MIRRORED = sa.Table(
    "mirrored",
    _METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
)
# No key: what is counted twice stands there twice.
COUNTED = sa.Table("counted", _METADATA, sa.Column("event_id", sa.Uuid, nullable=False))


class Notes:
    """The projection. With `pause`, it stays in the middle of its transaction for so many seconds."""

    source = NAME
    types: Sequence[str] = (NOTE_CHANGED, BOARD_CLEANED)

    def __init__(self, *, pause: float = 0) -> None:
        self._pause = pause
        self.generations: list[int] = []

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        self.generations.append(generation)
        events = [{"event_id": UUID(fact.event_id)} for fact in facts if fact.event_id]
        if events:
            await session.execute(sa.insert(COUNTED), events)
        await asyncio.sleep(self._pause)
        for fact in facts:
            for note in fact.data.get("notes", ()):
                stated = insert(MIRRORED).values(
                    id=UUID(note["id"]),
                    version=note["version"],
                    rank=note["rank"],
                    generation=generation,
                )
                newer = sa.or_(
                    MIRRORED.c.generation < stated.excluded.generation,
                    MIRRORED.c.version < stated.excluded.version,
                )
                await session.execute(
                    stated.on_conflict_do_update(
                        index_elements=["id"], set_=dict(stated.excluded), where=newer
                    )
                )

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        await session.execute(sa.delete(MIRRORED).where(MIRRORED.c.generation < generation))


@dataclass(frozen=True, slots=True)
class Mirror:
    """An open consumer in the test's own process."""

    sessions: Sessions
    projection: Notes
    follower: Follower

    async def catch_up(self) -> None:
        """Pages until the feed has nothing more to say."""
        for _ in range(1000):
            if not await self.follower.step() and self.follower.caught_up:
                return
        raise AssertionError("the feed does not end")

    async def counted(self) -> list[UUID]:
        async with self.sessions.read() as session:
            return list(await session.scalars(sa.select(COUNTED.c.event_id)))

    async def states(self) -> dict[str, dict[str, Any]]:
        """What is known of the notes, in the words of the board's events."""
        async with self.sessions.read() as session:
            rows = (await session.execute(sa.select(MIRRORED))).all()
        return {
            str(row.id): {"id": str(row.id), "version": row.version, "rank": row.rank}
            for row in rows
        }

    async def cursor(self) -> Any:
        async with self.sessions.read() as session:
            found = await session.execute(sa.text("SELECT * FROM feed_cursor"))
            return found.one_or_none()


async def furnish(url: str) -> None:
    """Make the consumer's own tables."""
    engine = database.engine(settings_of(url), application="tests")
    async with engine.begin() as connection:
        await connection.run_sync(_METADATA.create_all)
    await engine.dispose()


@asynccontextmanager
async def open_mirror(
    url: str,
    *,
    base_url: str = "http://board.test",
    transport: httpx.AsyncBaseTransport | None = None,
    pause: float = 0,
) -> AsyncGenerator[Mirror]:
    engine = database.engine(settings_of(url), application="mirror")
    sessions = database.sessions(engine)
    projection = Notes(pause=pause)
    client = http.client(base_url=base_url, token=SERVICE_TOKEN, transport=transport)
    async with client:
        yield Mirror(sessions, projection, Follower(projection, sessions=sessions, http=client))
    await engine.dispose()


def live(url: str, base_url: str, pause: float) -> None:
    """The life of a consumer process: it follows the feed until it is killed.

    It stays for `pause` seconds in the middle of what it derives, and again before the cursor moves.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def on_statement(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE feed_cursor"):
            await_only(asyncio.sleep(pause))

    event.listen(Engine, "before_cursor_execute", on_statement)

    async def follow() -> None:
        async with open_mirror(url, base_url=base_url, pause=pause) as mirror:
            await mirror.follower.run()

    asyncio.run(follow())
