"""A producer and a consumer of their own, each on its own database."""

import multiprocessing
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from typing import Any

import httpx
import pytest

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from services.common.access import Role
from tests.common import board as board_app
from tests.common import mirror as mirror_app
from tests.common.board import Snapshots, open_board
from tests.common.mirror import Mirror, open_mirror
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity

_EMPTY_BOARD = """
TRUNCATE residents_api.note, residents_api.outbox, residents_api.feed_head,
    residents_api.idempotency_key RESTART IDENTITY
"""
_EMPTY_MIRROR = """
TRUNCATE tagging_api.mirrored, tagging_api.counted, tagging_api.feed_cursor, tagging_api.outbox,
    tagging_api.feed_head RESTART IDENTITY
"""


@asynccontextmanager
async def cloned(postgres: EmbeddedPostgres, template: str, name: str) -> AsyncGenerator[Database]:
    """A migrated, empty database, for as long as the block lasts."""
    admin: Any = await database.connect(postgres.url(database="postgres"))
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    admin_url = postgres.url(database=name)
    urls = {
        role: database.role_url(admin_url, role=role, password="for-tests")
        for role in database.SERVICES
    }
    yield Database(name, admin_url, urls)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


class Reused:
    """One database for all tests, emptied for each: cloning takes longer than most of them."""

    def __init__(self, db: Database, admin: Any, empty: str) -> None:
        self._db = db
        self._admin = admin
        self._empty = empty

    async def emptied(self) -> Database:
        await self._admin.execute(self._empty)
        return self._db


@asynccontextmanager
async def _reused(db: Database, empty: str) -> AsyncGenerator[Reused]:
    admin: Any = await database.connect(db.admin_url)
    await admin.execute("SET lock_timeout = '5s'")
    yield Reused(db, admin, empty)
    await admin.close()


@pytest.fixture(scope="session")
async def furnished_board(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[Reused]:
    async with cloned(postgres, template, "board") as db:
        await board_app.furnish(db.urls["residents_api"])
        async with _reused(db, _EMPTY_BOARD) as reused:
            yield reused


@pytest.fixture(scope="session")
async def furnished_mirror(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[Reused]:
    async with cloned(postgres, template, "mirror") as db:
        await mirror_app.furnish(db.urls["tagging_api"])
        async with _reused(db, _EMPTY_MIRROR) as reused:
            yield reused


@pytest.fixture
async def board_db(furnished_board: Reused) -> Database:
    """The producer's database, empty."""
    return await furnished_board.emptied()


@pytest.fixture
async def mirror_db(furnished_mirror: Reused) -> Database:
    """The consumer's database, empty."""
    return await furnished_mirror.emptied()


@pytest.fixture(scope="session")
async def standing_board(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[App]:
    """A board that is never emptied nor closed, for what is refused anyway."""
    clock = FixedClock(datetime(2026, 11, 23, 4, 0, tzinfo=UTC))
    async with cloned(postgres, template, "standing_board") as db:
        await board_app.furnish(db.urls["residents_api"])
        async with open_board(db, Identity(clock), clock, snapshots=Snapshots()) as app:
            yield app


@pytest.fixture
def snapshots() -> Snapshots:
    return Snapshots()


@pytest.fixture
async def board(
    board_db: Database, identity: Identity, clock: FixedClock, snapshots: Snapshots
) -> AsyncGenerator[App]:
    async with open_board(board_db, identity, clock, snapshots=snapshots) as app:
        yield app


@pytest.fixture
def worker(board: App) -> httpx.AsyncClient:
    return board.as_role(Role.COMMUNITY_WORKER)


@pytest.fixture
async def mirror(mirror_db: Database, board: App) -> AsyncGenerator[Mirror]:
    async with open_mirror(mirror_db.urls["tagging_api"], transport=board.transport) as opened:
        yield opened


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Where consumer processes come from: forked off one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.common.mirror"])
    return context
