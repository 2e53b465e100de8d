"""A producer whose database was restored: its consumers notice, and end with what it holds now."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import sqlalchemy as sa

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from services.common import database as common_database
from services.common import outbox
from services.common.positions import Cursor
from tests.common import board as board_app
from tests.common.board import Snapshots, add_note, open_board, remove, touch
from tests.common.interruptions import interrupted
from tests.common.mirror import open_mirror
from tests.common.test_outbox import feed_page, start_of, write
from tests.common.test_projection import change, same
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity


class Backups:
    """Copies of the producer's database, and the swap of one for it."""

    def __init__(self, admin: Any, db: Database) -> None:
        self._admin = admin
        self._name = db.name

    async def _alone(self, name: str) -> None:
        await self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )

    async def take(self) -> None:
        await self._alone(self._name)
        await self._admin.execute(f"CREATE DATABASE {self._name}_backup TEMPLATE {self._name}")

    async def restore(self) -> None:
        """Put the backup in the place of the database, as a failover does: services reconnect."""
        # Nobody comes in between: a renamed database has no connections.
        await self._admin.execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        await self._alone(self._name)
        await self._admin.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
        await self._admin.execute(f"ALTER DATABASE {self._name}_backup RENAME TO {self._name}")


@pytest.fixture
async def backups(postgres: EmbeddedPostgres, db: Database) -> AsyncGenerator[Backups]:
    await board_app.furnish(db.urls["residents_api"])
    admin = await database.connect(postgres.url(database="postgres"))
    yield Backups(admin, db)
    await admin.close()


@pytest.fixture
async def board(backups: Backups, db: Database) -> None:
    """These tests open the board themselves, and more than once."""


def opened_board(db: Database, identity: Identity, clock: FixedClock) -> Any:
    return open_board(db, identity, clock, snapshots=Snapshots(page_size=3))


def reading(mirror_db: Database, board: App) -> Any:
    return open_mirror(mirror_db.urls["tagging_api"], transport=board.transport)


async def test_a_restored_copy_is_another_epoch(
    backups: Backups, db: Database, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with opened_board(db, identity, clock) as board:
        kept = (await change(board, add_note, rank=1)).id
        returns = (await change(board, add_note, rank=2)).id
        await write(board, ranks=[3, 4, 5])
    await backups.take()
    async with opened_board(db, identity, clock) as board:
        first_life = await start_of(board)
        await change(board, touch, kept, rank=100)
        vanishes = (await change(board, add_note, rank=6)).id
        await change(board, remove, returns)
        await write(board, ranks=[7, 8])
        async with reading(mirror_db, board) as mirror:
            await mirror.catch_up()
            assert await same(board, mirror)
            assert str(vanishes) in await mirror.states()
    await backups.restore()
    async with opened_board(db, identity, clock) as board:
        second_life = await start_of(board)
        assert Cursor.parse(second_life).epoch != Cursor.parse(first_life).epoch
        # It has got further again than the consumer had, by other events.
        await write(board, ranks=[21, 22, 23, 24, 25, 26])
        async with reading(mirror_db, board) as mirror:
            await mirror.catch_up()
            assert await same(board, mirror)
            states = await mirror.states()
            assert str(vanishes) not in states
            assert states[str(returns)]["rank"] == 2
            # An older version, of a newer generation.
            assert states[str(kept)] == {"id": str(kept), "version": 1, "rank": 1}
            assert (await mirror.cursor()).generation == 2


async def test_a_restore_under_a_running_service_is_another_epoch(
    backups: Backups, db: Database, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with opened_board(db, identity, clock) as board:
        await write(board, ranks=[1, 2])
    await backups.take()
    async with opened_board(db, identity, clock) as board, reading(mirror_db, board) as mirror:
        first_life = await start_of(board)
        await write(board, ranks=[3, 4])
        await mirror.catch_up()
        await backups.restore()
        # As many events as were lost, before any consumer has asked.
        await tried(write, board, ranks=[33, 34])
        await write(board, ranks=[35])
        second_life = await start_of(board)
        assert Cursor.parse(second_life).epoch != Cursor.parse(first_life).epoch
        await mirror.catch_up()
        assert await same(board, mirror)
        # It is at home there now, and stays in its epoch.
        await write(board, ranks=[36])
        assert await start_of(board) == second_life


async def tried(act: Any, *args: Any, **values: Any) -> None:
    """Once more, if the first try met a connection that the server had closed."""
    try:
        await act(*args, **values)
    except sa.exc.DBAPIError:
        await act(*args, **values)


async def test_the_same_database_keeps_its_epoch(
    backups: Backups, db: Database, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with opened_board(db, identity, clock) as board, reading(mirror_db, board) as mirror:
        first = await start_of(board)
        await write(board, ranks=[1])
        await mirror.catch_up()
    async with opened_board(db, identity, clock) as board, reading(mirror_db, board) as mirror:
        assert await start_of(board) == first
        await write(board, ranks=[2])
        await mirror.catch_up()
        assert (await mirror.cursor()).generation == 1
        assert len(await mirror.counted()) == 1


async def test_a_cold_restore_with_the_same_identity_is_noticed_by_who_is_ahead(
    backups: Backups, db: Database, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with opened_board(db, identity, clock) as board, reading(mirror_db, board) as mirror:
        await write(board, ranks=[1, 2, 3, 4, 5, 6])
        first_life = await start_of(board)
        await mirror.catch_up()
    admin: Any = await database.connect(db.admin_url)
    # Files put back as they were: same system, same timeline, same database.
    await admin.execute("DELETE FROM residents_api.outbox WHERE position > 2")
    await admin.execute("UPDATE residents_api.feed_head SET position = 2")
    await admin.execute("DELETE FROM residents_api.note WHERE rank > 2")
    await admin.close()
    async with opened_board(db, identity, clock) as board, reading(mirror_db, board) as mirror:
        assert await start_of(board) == first_life
        await write(board, ranks=[7])
        await mirror.catch_up()
        assert Cursor.parse(await start_of(board)).epoch != Cursor.parse(first_life).epoch
        assert await same(board, mirror)
        await write(board, ranks=[8])
        await mirror.catch_up()
        assert await same(board, mirror)
        assert (await mirror.cursor()).generation == 2


async def test_two_consumers_from_the_future_end_one_epoch_only(
    backups: Backups, db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with opened_board(db, identity, clock) as board:
        await write(board, ranks=[1])
        seen = Cursor(Cursor.parse(await start_of(board)).epoch, 5)
        await outbox.new_epoch(board.state["sessions"], seen=seen)
        second = await start_of(board)
        assert Cursor.parse(second).epoch != seen.epoch
        await outbox.new_epoch(board.state["sessions"], seen=seen)
        assert await start_of(board) == second
        # Positions go on: a number of this feed is never given twice.
        await write(board, ranks=[2])
        page = await feed_page(board, str(Cursor(Cursor.parse(second).epoch, 1)))
        assert [event["position"] for event in page["events"]] == [2]


async def test_two_processes_that_start_at_once_open_one_feed(
    backups: Backups, db: Database, mirror_db: Database, identity: Identity, clock: FixedClock
) -> None:
    engine = common_database.engine(
        board_app.settings_of(db.urls["residents_api"]), application="tests"
    )
    sessions = common_database.sessions(engine)
    with interrupted("before", "INSERT INTO feed_head", lambda: outbox.open_feed(sessions)):
        await outbox.open_feed(sessions)
    await engine.dispose()
    async with (
        opened_board(db, identity, clock) as one,
        opened_board(db, identity, clock) as other,
    ):
        assert await start_of(one) == await start_of(other)
        await write(one, ranks=[1])
        await write(other, ranks=[2])
        page = await feed_page(one, await start_of(other))
        assert [event["position"] for event in page["events"]] == [1, 2]
