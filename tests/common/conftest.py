"""A producer and a consumer of their own, each on its own database."""

import multiprocessing
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
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
_EMPTY_MIRROR = "TRUNCATE tagging_api.mirrored, tagging_api.counted, tagging_api.feed_cursor"


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


@pytest.fixture(scope="session")
async def furnished_board(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[Database]:
    async with cloned(postgres, template, "board") as db:
        await board_app.furnish(db.urls["residents_api"])
        yield db


@pytest.fixture(scope="session")
async def furnished_mirror(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[Database]:
    async with cloned(postgres, template, "mirror") as db:
        await mirror_app.furnish(db.urls["tagging_api"])
        yield db


async def _emptied(db: Database, statement: str) -> Database:
    admin: Any = await database.connect(db.admin_url)
    await admin.execute(f"SET lock_timeout = '5s'; {statement}")
    await admin.close()
    return db


@pytest.fixture
async def board_db(furnished_board: Database) -> Database:
    """The producer's database, empty. One for all tests: cloning takes longer than most of them."""
    return await _emptied(furnished_board, _EMPTY_BOARD)


@pytest.fixture
async def mirror_db(furnished_mirror: Database) -> Database:
    """The consumer's database, empty."""
    return await _emptied(furnished_mirror, _EMPTY_MIRROR)


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
