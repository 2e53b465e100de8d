"""How a service opens, says that it is well, and closes."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.common import application
from services.common.application import House
from services.common.database import Notifications
from services.common.settings import NeighbourSettings
from tests.common import board as board_app
from tests.common.board import NAME, create_app, settings_of
from tests.common.mirror import Notes
from tests.common.test_outbox import feed_page, start_of, write
from tests.conftest import Database, FixedClock
from tests.houses import SERVICE_TOKEN, App, Identity, opened


async def test_a_service_is_alive_and_ready(board: App) -> None:
    alive = await board.client().get("/livez")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive", "checks": {}})
    ready = await board.client().get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"database": True}},
    )


async def test_what_the_start_has_made_is_no_garbage(board: App) -> None:
    assert gc.get_freeze_count() > 10_000


class Away(httpx.AsyncBaseTransport):
    """A neighbour that is not there yet."""

    def __init__(self, there: httpx.AsyncBaseTransport) -> None:
        self._there = there
        self.opened = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.opened.is_set():
            raise httpx.ConnectError("connection refused", request=request)
        return await self._there.handle_async_request(request)


async def test_a_consumer_is_ready_once_it_has_caught_up(
    board: App, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    await write(board, ranks=[1, 2, 3])
    neighbour = Away(board.transport)
    houses: list[House] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
        async with application.opened(
            "mirror",
            settings=settings_of(mirror_db.urls["tagging_api"]),
            security=identity.security,
            clock=clock,
            transports={"gateway": identity.transport},
        ) as house:
            there = NeighbourSettings(url="http://board.test", token=SecretStr(SERVICE_TOKEN))
            await application.follow(house, (Notes(), there), transports={NAME: neighbour})
            houses.append(house)
            yield house.state

    async with opened(create_app(lifespan), identity) as mirror:
        answer = await mirror.client().get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "not_ready",
            "checks": {"database": True, f"feed:{NAME}": False},
        }
        neighbour.opened.set()
        async with asyncio.timeout(20):
            while (await mirror.client().get("/readyz")).status_code != 200:
                await asyncio.sleep(0.02)
        (follower,) = houses[0].state["followers"]
        async with houses[0].state["sessions"].read() as session:
            cursor = await follower.cursor(session)
        assert cursor is not None
        assert cursor.position == 3
    # Nothing goes on behind a closed service.
    assert [task.get_name() for task in asyncio.all_tasks() if NAME in task.get_name()] == []


async def test_closing_ends_what_runs_in_the_background(
    board_db: Database, identity: Identity, clock: FixedClock
) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # it may need a moment to put things away
            ended.append("work")

    async with application.opened(
        "board",
        settings=settings_of(board_db.urls["residents_api"]),
        security=identity.security,
        clock=clock,
        transports={"gateway": identity.transport},
    ) as house:
        house.in_background(work(), name="work")
        await asyncio.sleep(0)
        assert ended == []
    assert ended == ["work"]


async def test_a_producer_starts_while_its_database_is_away(
    identity: Identity, clock: FixedClock
) -> None:
    nowhere = settings_of("postgresql://nobody@127.0.0.1:1/none")
    async with application.opened(
        "board",
        settings=nowhere,
        security=identity.security,
        clock=clock,
        snapshot=board_app.Snapshots(),
        transports={"gateway": identity.transport},
    ) as house:
        assert not await house.state["checks"]["database"]()


_LISTENERS = (
    "SELECT array_agg(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


async def test_listening_comes_back_after_a_lost_connection(board: App, board_db: Database) -> None:
    start = await start_of(board)
    admin: Any = await asyncpg.connect(board_db.admin_url)
    async with asyncio.timeout(20):
        while not (first := await admin.fetchval(_LISTENERS)):
            await asyncio.sleep(0.01)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid", first)
    # What is written while nobody listens comes late, but it comes.
    await write(board, ranks=[1])
    assert len((await feed_page(board, start, wait=10))["events"]) == 1
    async with asyncio.timeout(20):
        while not (second := await admin.fetchval(_LISTENERS)) or second == first:
            await asyncio.sleep(0.01)
    await admin.close()


async def test_everyone_who_waits_is_woken_and_a_timeout_is_no_error() -> None:
    notifications = Notifications(settings_of("postgresql://"), channel="c")
    waiting = [asyncio.create_task(notifications.wait(timeout=10)) for _ in range(3)]
    await asyncio.sleep(0)
    notifications.wake()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    before = notifications.next
    notifications.wake()
    await asyncio.wait_for(notifications.wait(before, timeout=10), 1)
    await notifications.wait(timeout=0.01)
