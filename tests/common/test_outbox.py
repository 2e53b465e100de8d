"""Positions: none lost, none doubled, in commit order, whatever else goes on in the cluster."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from services.cli.postgres import EmbeddedPostgres
from services.common import outbox
from services.common.database import Sessions
from services.common.outbox import OUTBOX, Event, Publisher
from services.common.positions import Cursor, Position
from tests.common.board import NAME, NOTE_CHANGED, add_note, touch
from tests.conftest import Database, FixedClock
from tests.houses import App
from tests.queries import QueryLog


async def feed_page(board: App, after: str, **params: Any) -> dict[str, Any]:
    answer = await board.as_service().get("/internal/feed", params={"after": after, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def start_of(board: App) -> str:
    """The cursor before the first event."""
    async with board.state["sessions"].read() as session:
        head, _ = await outbox.head(session)
    return str(Cursor(head.epoch, 0))


class Reader:
    """Follows the feed over HTTP and keeps what it is told."""

    def __init__(self, board: App, after: str) -> None:
        self._board = board
        self.after = after
        self.events: list[dict[str, Any]] = []

    async def read(self, *, until: asyncio.Event, limit: int = 7) -> None:
        """Until the feed has no more, once the writers are through."""
        while True:
            done = until.is_set()
            page = await feed_page(self._board, self.after, limit=limit)
            self.after = page["next"]
            self.events += page["events"]
            if done and not page["events"]:
                return
            await asyncio.sleep(0)

    def positions(self) -> list[int]:
        return [event["position"] for event in self.events]


async def write(board: App, *, ranks: Sequence[int]) -> None:
    """One transaction with an event for each rank, numbered as a route does it."""
    async with board.state["sessions"].write() as session:
        for rank in ranks:
            await add_note(session, rank=rank)
            await asyncio.sleep(0)
    await board.state["publisher"].publish()


def ranks(events: Sequence[dict[str, Any]]) -> list[int]:
    return [note["rank"] for event in events for note in event["data"]["notes"]]


async def test_none_is_lost_and_none_doubled_beside_a_slow_writer(board: App) -> None:
    sessions: Sessions = board.state["sessions"]
    reader = Reader(board, await start_of(board))
    done, slow_wrote, others_wrote = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with sessions.write() as session:
            # Its row has the lowest number of all, and it is committed last.
            await add_note(session, rank=999)
            slow_wrote.set()
            await others_wrote.wait()
        await board.state["publisher"].publish()

    async def fast(writer: int) -> None:
        for turn in range(12):
            await write(board, ranks=[writer * 100 + turn * 2 + n for n in range(1 + turn % 2)])

    reading = asyncio.create_task(reader.read(until=done))
    slowly = asyncio.create_task(slow())
    await slow_wrote.wait()
    await asyncio.gather(*(fast(writer) for writer in range(8)))
    others_wrote.set()
    await slowly
    done.set()
    await reading

    expected = [w * 100 + t * 2 + n for w in range(8) for t in range(12) for n in range(1 + t % 2)]
    seen = ranks(reader.events)
    assert seen[-1] == 999
    assert sorted(seen[:-1]) == sorted(expected)
    assert reader.positions() == list(range(1, len(expected) + 2))
    assert len({event["id"] for event in reader.events}) == len(reader.events)


async def test_what_one_transaction_wrote_stays_together_and_in_order(board: App) -> None:
    start = await start_of(board)
    await asyncio.gather(*(write(board, ranks=[n * 10, n * 10 + 1, n * 10 + 2]) for n in range(6)))
    said = ranks((await feed_page(board, start))["events"])
    for n in range(6):
        own = [rank for rank in said if rank // 10 == n]
        assert own == [n * 10, n * 10 + 1, n * 10 + 2]


async def test_events_of_one_subject_come_in_commit_order(board: App) -> None:
    sessions: Sessions = board.state["sessions"]
    start = await start_of(board)
    async with sessions.write() as session:
        notes = [(await add_note(session)).id for _ in range(3)]

    async def writer(seed: int) -> None:
        for turn in range(12):
            async with sessions.write() as session:
                # Whoever has the row's lock writes the event; the others wait for the commit.
                await touch(session, notes[(seed + turn) % 3])
                await asyncio.sleep(0.001 * (seed % 3))
            await board.state["publisher"].publish()

    await asyncio.gather(*(writer(seed) for seed in range(6)))
    events = (await feed_page(board, start, limit=1000))["events"]
    for note in notes:
        own = [e["data"]["notes"][0]["version"] for e in events if e["subject"] == f"notes/{note}"]
        assert own == list(range(1, len(own) + 1))
    assert len(events) == 3 + 6 * 12


@asynccontextmanager
async def long_transaction(url: str, *statements: str, isolation: str = "repeatable_read"):
    """A transaction with an id and a snapshot of its own, open until the end of the block."""
    connection: Any = await asyncpg.connect(url)
    transaction = connection.transaction(isolation=isolation)
    await transaction.start()
    for statement in ("SELECT pg_current_xact_id()", *statements):
        await connection.execute(statement)
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_long_transactions_elsewhere_hold_nothing_up(
    board: App, worker: httpx.AsyncClient, postgres: EmbeddedPostgres, board_db: Database
) -> None:
    start = await start_of(board)
    own = (
        "INSERT INTO residents_api.outbox (event_id, type, data)"
        " VALUES (gen_random_uuid(), 'cn.shequ.tests.note.changed', '{\"notes\": []}')"
    )
    async with (
        long_transaction(postgres.url(database="postgres"), "CREATE TEMP TABLE t (x int)"),
        long_transaction(board_db.admin_url, "SELECT count(*) FROM residents_api.outbox"),
        long_transaction(board_db.admin_url, own, isolation="read_committed"),
    ):
        waiting = asyncio.create_task(feed_page(board, start, wait=10))
        answer = await worker.post("/v1/notes", json={"text": "a", "rank": 7})
        assert answer.status_code == 201
        page = await asyncio.wait_for(waiting, 5)
    assert ranks(page["events"]) == [7]
    assert page["next"] == page["head"] == answer.headers["position"].removeprefix(f"{NAME}.")


async def test_what_was_rolled_back_leaves_no_gap(board: App) -> None:
    sessions: Sessions = board.state["sessions"]
    start = await start_of(board)
    await write(board, ranks=[1])

    async def fail() -> None:
        async with sessions.write() as session:
            await add_note(session, rank=2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await write(board, ranks=[3])
    events = (await feed_page(board, start))["events"]
    assert [event["position"] for event in events] == [1, 2]
    assert ranks(events) == [1, 3]


async def test_more_than_a_numbering_takes_at_once(board: App) -> None:
    sessions: Sessions = board.state["sessions"]
    async with sessions.write() as session:
        await session.execute(
            sa.text(
                "INSERT INTO outbox (event_id, type, data)"
                " SELECT gen_random_uuid(), 'x', '{}' FROM generate_series(1, 10001)"
            )
        )
    position = await board.state["publisher"].publish()
    assert position.cursors[0][1].position == 10_001
    async with sessions.read() as session:
        numbered = sa.select(
            sa.func.count(), sa.func.count(OUTBOX.c.position.distinct()),
            sa.func.min(OUTBOX.c.position), sa.func.max(OUTBOX.c.position),
            # Rows of one transaction are numbered in the order in which they were written.
            sa.func.corr(OUTBOX.c.id, OUTBOX.c.position),
        )  # fmt: skip
        assert tuple((await session.execute(numbered)).one()) == (10_001, 10_001, 1, 10_001, 1.0)


async def test_several_processes_may_number_at_once(board: App, clock: FixedClock) -> None:
    sessions: Sessions = board.state["sessions"]
    publishers = [Publisher(sessions, service=NAME, clock=clock) for _ in range(4)]

    async def process(publisher: Publisher) -> None:
        for _ in range(10):
            async with sessions.write() as session:
                await add_note(session)
            await publisher.publish()

    start = await start_of(board)
    await asyncio.gather(*(process(publisher) for publisher in publishers))
    page = await feed_page(board, start, limit=1000)
    assert [event["position"] for event in page["events"]] == list(range(1, 41))


async def test_a_position_covers_ones_own_events(board: App, worker: httpx.AsyncClient) -> None:
    async def one(text: str) -> tuple[UUID, int]:
        answer = await worker.post("/v1/notes", json={"text": text})
        ((service, cursor),) = Position.parse(answer.headers["position"]).cursors
        assert service == NAME
        return UUID(answer.json()["id"]), cursor.position

    start = await start_of(board)
    made = await asyncio.gather(*(one(f"note {n}") for n in range(20)))
    events = (await feed_page(board, start))["events"]
    at = {UUID(event["data"]["notes"][0]["id"]): event["position"] for event in events}
    assert len(at) == 20
    assert all(at[note] <= position <= 20 for note, position in made)


async def test_writers_who_wait_share_one_numbering(board: App, board_db: Database) -> None:
    sessions: Sessions = board.state["sessions"]
    publisher: Publisher = board.state["publisher"]
    async with long_transaction(
        board_db.admin_url,
        "SELECT * FROM residents_api.feed_head FOR UPDATE",
        isolation="read_committed",
    ):
        with QueryLog() as queries:
            first = asyncio.create_task(publisher.publish())
            await asyncio.sleep(0.05)
            async with sessions.write() as session:
                for _ in range(20):
                    await add_note(session)
            others = [asyncio.create_task(publisher.publish()) for _ in range(20)]
            await asyncio.sleep(0.05)
            # One of them hangs up; nobody else loses their numbering by it.
            others[0].cancel()
    positions = await asyncio.gather(*others[1:])
    await first
    assert {p.cursors[0][1].position for p in positions} == {20}
    locks = [s for s in queries.statements if "FROM feed_head FOR UPDATE" in " ".join(s.split())]
    assert len(locks) <= 2


async def test_a_transaction_without_events_gets_no_position(
    board: App, worker: httpx.AsyncClient
) -> None:
    made = (await worker.post("/v1/notes", json={"text": "a"})).json()
    answer = await worker.get(f"/v1/notes/{made['id']}")
    assert "position" not in answer.headers


@pytest.mark.parametrize(
    ("subjects", "sizes"), [(0, []), (1, [1]), (1000, [1000]), (2001, [1000, 1000, 1])]
)
def test_bulk_work_writes_an_event_for_up_to_a_thousand(subjects: int, sizes: list[int]) -> None:
    events = outbox.batches(NOTE_CHANGED, "notes", [{"id": n} for n in range(subjects)])
    assert [len(event.data["notes"]) for event in events] == sizes
    assert [note["id"] for event in events for note in event.data["notes"]] == list(range(subjects))
    assert all(isinstance(event, Event) and event.type == NOTE_CHANGED for event in events)
