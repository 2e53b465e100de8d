"""PostgreSQL: engines, the two kinds of session, and notifications.

A request that only reads runs in autocommit: there is no transaction to open, to close or to hold
anything up. A request that writes is one transaction, committed by its route before the answer
leaves (`routing.UnitOfWorkRoute`); nobody else commits.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NewType

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy import MetaData
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from services.common.settings import DatabaseSettings

log = structlog.get_logger(__name__)

ReadSession = NewType("ReadSession", AsyncSession)
# A writer may read; a reader may not write.
WriteSession = NewType("WriteSession", ReadSession)

# Constraint names are part of the API: `errors.py` of a service maps them to problems.
NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


# What a background task outlives: refused, lost, or no connection to be had.
UNREACHABLE: Final = (DBAPIError, PoolTimeout, OSError)

# Codes are compared by prefix ranges, which only the "C" order makes right.
Code = sa.Text(collation="C")

COLUMN_TYPES: Final[dict[Any, Any]] = {
    str: sa.Text,
    datetime: sa.DateTime(timezone=True),
    list[str]: ARRAY(sa.Text),
    dict[str, Any]: JSONB,
}


def metadata() -> MetaData:
    """A new MetaData with predictable constraint names."""
    return MetaData(naming_convention=NAMING)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Where sessions come from: `reading()` in autocommit, `writing()` in a transaction."""

    reading: async_sessionmaker[AsyncSession]
    writing: async_sessionmaker[AsyncSession]

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[ReadSession]:
        async with self.reading() as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[WriteSession]:
        """One transaction of its own: for background work, and for what must survive a refusal."""
        async with self.writing() as session, session.begin():
            yield WriteSession(ReadSession(session))


def engine(settings: DatabaseSettings, *, application: str) -> AsyncEngine:
    """An engine whose errors never carry parameters."""
    server_settings = {
        "application_name": application,
        # Plans here are short and many: compiling them costs more than running them.
        "jit": "off",
        # A plan for any area suits none: a range of codes selects a grid or a city.
        # Counting a town took 520 ms by the generic plan and 98 ms by its own; planning
        # costs a look-up by key some 30 us.
        "plan_cache_mode": "force_custom_plan",
        "statement_timeout": str(settings.statement_timeout_seconds * 1000),
        "idle_in_transaction_session_timeout": "60000",
    }
    return create_async_engine(
        # The driver reads the URL itself: SQLAlchemy knows few of libpq's parameters, and no
        # sslmode among them.
        "postgresql+asyncpg://",
        async_creator=partial(_connect, driver_dsn(settings), server_settings=server_settings),
        hide_parameters=True,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_size,
    )


async def _connect(*args: Any, **values: Any) -> Any:
    try:
        return await asyncpg.connect(*args, **values)
    except OSError as away:
        # No socket file, no such host: only here is it known that these mean the database.
        raise ConnectionError(type(away).__name__) from away


def sessions(engine: AsyncEngine) -> Sessions:
    return Sessions(
        reading=async_sessionmaker(
            engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
        ),
        writing=async_sessionmaker(engine, expire_on_commit=False),
    )


def driver_dsn(settings: DatabaseSettings) -> str:
    """The URL as asyncpg itself takes it: for COPY and LISTEN."""
    return settings.url.get_secret_value()


class Notifications:
    """Wakes those who wait for a channel. A missed notification costs a delay, never an event.

    Waiters always re-read the table and always use a timeout, so losing the connection (a restart
    of the server, a pooler that cannot LISTEN) slows them down and nothing else.
    """

    def __init__(self, settings: DatabaseSettings, *, channel: str) -> None:
        self._dsn = driver_dsn(settings)
        self._channel = channel
        self._changed = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set by the next notification.

        Who takes it before looking at the table, and waits for it after, misses none in between.
        """
        return self._changed

    async def wait(self, notified: asyncio.Event | None = None, *, timeout: float) -> None:  # noqa: ASYNC109 - the timeout is the normal end
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for((notified or self._changed).wait(), timeout)

    def wake(self) -> None:
        """Let everyone who waits look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def run(self) -> None:
        """Listen for ever, coming back after a lost connection."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as lost:
                log.warning("notifications.lost", channel=self._channel, error=type(lost).__name__)
            self.wake()
            await asyncio.sleep(1)

    async def _listen(self) -> None:
        connection: Any = await asyncpg.connect(self._dsn)
        lost = asyncio.Event()

        def ended(_: Any) -> None:
            lost.set()

        def notified(*_: Any) -> None:
            self.wake()

        try:
            connection.add_termination_listener(ended)
            await connection.add_listener(self._channel, notified)
            await lost.wait()
        finally:
            await connection.close(timeout=1)
