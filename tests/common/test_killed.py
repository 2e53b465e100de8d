"""Real processes and SIGKILL: consumers between two batches, writers between commit and number."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess

import asyncpg
import pytest
import sqlalchemy as sa

from services.common.outbox import OUTBOX
from tests.common import board as board_app
from tests.common import mirror as mirror_app
from tests.common.board import Snapshots
from tests.common.mirror import Mirror
from tests.common.test_outbox import feed_page, ranks, start_of, write
from tests.conftest import Database
from tests.gateway.servers import served
from tests.houses import App

Spawn = Callable[..., ForkServerProcess]


@pytest.fixture
async def spawn(
    processes: ForkServerContext, board: App, mirror_db: Database
) -> AsyncGenerator[Spawn]:
    """Start a consumer process, which follows the board over a real connection."""
    started: list[ForkServerProcess] = []
    async with served(board.transport.app) as url:

        def start(*, pause: float) -> ForkServerProcess:
            process = processes.Process(
                target=mirror_app.live, args=(mirror_db.urls["tagging_api"], url, pause)
            )
            process.start()
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.join()
            process.close()


async def progress(mirror: Mirror, *, beyond: int, of: ForkServerProcess) -> int:
    """Wait until a process has counted more than it had."""
    async with asyncio.timeout(20):
        while (counted := len(await mirror.counted())) <= beyond:
            assert of.is_alive(), f"the consumer ended by itself: {of.exitcode}"
            await asyncio.sleep(0.003)
    return counted


@asynccontextmanager
async def writing(board: App) -> AsyncGenerator[None]:
    """Notes are written all the while."""

    async def forever() -> None:
        turn = 0
        while True:
            await write(board, ranks=[turn] * (1 + turn % 3))
            turn += 1
            await asyncio.sleep(0.004)

    task = asyncio.create_task(forever())
    yield
    task.cancel()
    await asyncio.wait([task])
    # What was committed and not yet numbered when the writing ended.
    await board.state["publisher"].publish()


async def exactly_once(board: App, mirror: Mirror, *, after: str) -> None:
    """Everything has arrived, by whichever process, and nothing twice."""
    await mirror.catch_up()
    said: list[str] = []
    while (page := await feed_page(board, after, limit=1000))["events"]:
        said += [event["id"] for event in page["events"]]
        after = page["next"]
    counted = sorted(str(event_id) for event_id in await mirror.counted())
    assert counted == sorted(said)
    assert await mirror.states() == await board_app.states(board.state["sessions"])


async def test_a_consumer_killed_again_and_again_counts_each_event_once(
    board: App, mirror: Mirror, spawn: Spawn
) -> None:
    start = await start_of(board)
    await mirror.catch_up()
    chance = random.Random(4)  # noqa: S311 - any moment will do
    counted = 0
    async with writing(board):
        for _ in range(10):
            # Most of a life is spent in the middle of a transaction.
            process = spawn(pause=0.02)
            counted = await progress(mirror, beyond=counted, of=process)
            await asyncio.sleep(chance.uniform(0, 0.05))
            process.kill()
            process.join()
    await exactly_once(board, mirror, after=start)


async def test_two_consumer_processes_count_each_event_once(
    board: App, mirror: Mirror, spawn: Spawn
) -> None:
    start = await start_of(board)
    await mirror.catch_up()
    async with writing(board):
        twins = [spawn(pause=0.005) for _ in range(2)]
        counted = 0
        for _ in range(5):
            counted = await progress(mirror, beyond=counted + 10, of=twins[0])
        # One goes; the other carries on, and has not missed anything.
        twins[0].kill()
        await progress(mirror, beyond=counted + 10, of=twins[1])
    await exactly_once(board, mirror, after=start)


async def test_a_snapshot_interrupted_by_a_kill_is_resumed(
    board: App, mirror: Mirror, spawn: Spawn, snapshots: Snapshots
) -> None:
    snapshots.page_size = 3
    for _ in range(4):
        await write(board, ranks=list(range(5)))
    for pages in (2, 4, 6):
        process = spawn(pause=0.05)
        async with asyncio.timeout(20):
            while len(await mirror.states()) < pages * 3:
                assert process.is_alive()
                await asyncio.sleep(0.003)
        process.kill()
        process.join()
        # What changes meanwhile is not lost, wherever the reading has got to.
        await write(board, ranks=[100 + pages])
        async with board.state["sessions"].write() as session:
            first = await session.scalar(sa.select(board_app.NOTE.c.id).limit(1))
            await board_app.touch(session, first)
        await board.state["publisher"].publish()
    assert (await mirror.cursor()).epoch is None
    await mirror.catch_up()
    assert await mirror.states() == await board_app.states(board.state["sessions"])
    assert (await mirror.cursor()).generation == 1
    # Begun once, and every page but those in flight when a process died was read once.
    assert snapshots.asked.count(None) == 1
    assert len(snapshots.asked) <= 8 + 3


async def test_what_a_killed_writer_committed_is_numbered(
    board: App, board_db: Database, processes: ForkServerContext
) -> None:
    start = await start_of(board)
    # Whoever numbers must hold this row: the writer gets no further than its commit.
    holder = await asyncpg.connect(board_db.admin_url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("SELECT * FROM residents_api.feed_head FOR UPDATE")
    writer = processes.Process(
        target=board_app.write_once, args=(board_db.urls["residents_api"], 7)
    )
    writer.start()
    waiting = "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'writer'"
    onlooker = await asyncpg.connect(board_db.admin_url)
    async with asyncio.timeout(20):
        while await onlooker.fetchval(waiting) != "Lock":
            assert writer.is_alive()
            await asyncio.sleep(0.005)
    await onlooker.close()
    writer.kill()
    writer.join()
    writer.close()
    await transaction.rollback()
    await holder.close()
    async with board.state["sessions"].read() as session:
        committed = sa.select(sa.func.count()).select_from(OUTBOX)
        assert await session.scalar(committed) == 1
    # Nobody else writes: the sweep alone finds it, and its number wakes those who wait.
    page = await asyncio.wait_for(feed_page(board, start, wait=20), 10)
    assert ranks(page["events"]) == [7]
