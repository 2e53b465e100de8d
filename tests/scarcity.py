"""A database that has no connection to give."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from services.common import database
from services.common.database import Sessions
from services.common.settings import DatabaseSettings


@asynccontextmanager
async def one_connection(settings: DatabaseSettings) -> AsyncGenerator[Sessions]:
    """Sessions that share one connection; who waits for it gives up in a moment."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(asyncpg.connect, database.driver_dsn(settings)),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.02,
    )
    yield database.sessions(engine)
    await engine.dispose()


async def warned(task: "asyncio.Task[None]", event: str) -> str:
    """Wait until a task in the background has warned so; which error it warned of."""
    with capture_logs() as said:
        while True:
            for line in said:
                if line["event"] == event:
                    return str(line["error"])
            assert not task.done(), task
            await asyncio.sleep(0.01)
