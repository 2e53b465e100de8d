"""The producer's door to its feed."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common import outbox
from services.common.access import Role
from services.common.database import Sessions
from services.common.outbox import OUTBOX, Event, Publisher
from services.common.positions import Cursor
from tests.common.board import (
    BOARD_CLEANED,
    NAME,
    NOTE_CHANGED,
    Snapshots,
    add_note,
    open_board,
)
from tests.common.interruptions import interrupted
from tests.common.test_outbox import feed_page, ranks, start_of, write
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity


async def refusal_of(board: App, after: str, **params: Any) -> tuple[int, str]:
    answer = await board.as_service().get("/internal/feed", params={"after": after, **params})
    return answer.status_code, answer.json()["code"]


def at(cursor: str, position: int) -> str:
    return str(Cursor(Cursor.parse(cursor).epoch, position))


async def emit(board: App, *events: Event) -> None:
    async with board.state["sessions"].write() as session:
        await outbox.emit(session, *events)
    await board.state["publisher"].publish()


async def test_an_event_is_a_cloud_event(board: App, worker: httpx.AsyncClient) -> None:
    start = await start_of(board)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    made = await worker.post(
        "/v1/notes",
        json={"text": "看不见的话", "rank": 3},
        headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"},
    )
    answer = await board.as_service().get("/internal/feed", params={"after": start})
    assert "看不见的话" not in answer.text
    (event,) = answer.json()["events"]
    note = made.json()["id"]
    assert event.pop("traceparent").startswith(f"00-{trace_id}-")
    assert datetime.fromisoformat(event.pop("time")) <= datetime.now(UTC)
    assert event.pop("id")
    assert event == {
        "specversion": "1.0",
        "source": f"/{NAME}",
        "type": NOTE_CHANGED,
        "subject": f"notes/{note}",
        "datacontenttype": "application/json",
        "position": 1,
        "data": {"notes": [{"id": note, "version": 1, "rank": 3}]},
    }


async def test_pages_follow_each_other_without_a_gap(board: App) -> None:
    start = await start_of(board)
    await write(board, ranks=list(range(10)))
    after, seen, sizes = start, [], []
    while True:
        page = await feed_page(board, after, limit=4)
        assert page["head"] == at(start, 10)
        if not page["events"]:
            break
        seen += ranks(page["events"])
        sizes.append(len(page["events"]))
        after = page["next"]
    assert (seen, sizes, after) == (list(range(10)), [4, 4, 2], at(start, 10))


async def test_a_filter_moves_the_cursor_past_what_it_leaves_out(board: App) -> None:
    start = await start_of(board)
    await emit(board, *(Event(BOARD_CLEANED, {"n": n}) for n in range(5)))
    await write(board, ranks=[1, 2])
    await emit(board, Event(BOARD_CLEANED, {}))
    page = await feed_page(board, start, type=NOTE_CHANGED)
    assert ranks(page["events"]) == [1, 2]
    assert page["next"] == page["head"] == at(start, 8)
    # A full page ends at its last event: more of its type may follow.
    page = await feed_page(board, start, type=NOTE_CHANGED, limit=1)
    assert (ranks(page["events"]), page["next"]) == ([1], at(start, 6))
    page = await feed_page(board, start, type=[NOTE_CHANGED, BOARD_CLEANED])
    assert len(page["events"]) == 8
    began = time.monotonic()
    # Nothing of that type, but the cursor moves: said at once, not after the wait.
    page = await feed_page(board, start, type="cn.shequ.tests.none", wait=10)
    assert (page["events"], page["next"]) == ([], at(start, 8))
    assert time.monotonic() - began < 5


async def test_a_page_ends_with_the_event_that_fills_it(
    board: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import's events tell of a thousand residents each: two hundred of them are no page."""
    monkeypatch.setattr("services.common.feed._PAGE_BYTES", 10_000)
    start = await start_of(board)

    def large(n: int, size: int) -> Event:
        return Event(NOTE_CHANGED, {"notes": [], "rank": n, "words": token_hex(size // 2)})

    # Alone larger than a page; then two to a page; then what fits.
    sizes = [50_000, 8_000, 8_000, 8_000, 8_000, 100, 100]
    await emit(board, *(large(n, size) for n, size in enumerate(sizes)))
    await emit(board, Event(BOARD_CLEANED, {}))
    pages, after = [], start
    while True:
        page = await feed_page(board, after, type=NOTE_CHANGED)
        assert page["head"] == at(start, 8)
        if not page["events"]:
            break
        pages.append([event["data"]["rank"] for event in page["events"]])
        after = page["next"]
        if after != page["head"]:
            assert after == at(start, page["events"][-1]["position"])
    assert pages == [[0], [1, 2], [3, 4], [5, 6]]
    assert after == at(start, 8)
    # A size of exactly the page's, and a limit that is met first.
    page = await feed_page(board, at(start, 1), limit=1)
    assert (len(page["events"]), page["next"]) == (1, at(start, 2))


async def test_no_wait_is_answered_at_once(board: App) -> None:
    start = await start_of(board)
    began = time.monotonic()
    page = await feed_page(board, start, wait=0)
    assert (page["events"], page["next"], page["head"]) == ([], start, start)
    assert time.monotonic() - began < 5


async def test_a_wait_ends_with_an_empty_page(board: App) -> None:
    start = await start_of(board)
    page = await asyncio.wait_for(feed_page(board, start, wait=0.2), 5)
    assert (page["events"], page["next"]) == ([], start)


async def test_a_commit_wakes_those_who_wait(board: App, worker: httpx.AsyncClient) -> None:
    start = await start_of(board)
    await asyncio.sleep(0.2)  # until the service listens
    # Long enough for a waiter that only looks again every second to be found out.
    for turn in range(5):
        waiting = asyncio.create_task(feed_page(board, at(start, turn), wait=20))
        await asyncio.sleep(0.05)
        await worker.post("/v1/notes", json={"text": f"note {turn}"})
        began = time.monotonic()
        assert len((await waiting)["events"]) == 1
        assert time.monotonic() - began < 0.6


async def test_a_commit_just_before_the_wait_is_not_slept_through(board: App) -> None:
    """The event arrives after the waiter has looked, and before it has lain down."""
    start = await start_of(board)
    await asyncio.sleep(0.2)  # until the service listens

    async def write_meanwhile() -> None:
        await write(board, ranks=[1])
        await asyncio.sleep(0.2)  # the notification has come and gone

    began = time.monotonic()
    with interrupted("after", "FROM feed_head LEFT OUTER JOIN LATERAL", write_meanwhile):
        page = await feed_page(board, start, wait=20)
    assert ranks(page["events"]) == [1]
    assert time.monotonic() - began < 0.8


async def test_waiting_holds_no_connection(
    board_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with open_board(board_db, identity, clock, snapshots=Snapshots(), pool_size=1) as board:
        start = await start_of(board)
        waiting = [asyncio.create_task(feed_page(board, start, wait=20)) for _ in range(25)]
        await asyncio.sleep(0.3)
        sessions: Sessions = board.state["sessions"]
        async with sessions.read() as session:
            busy = await session.scalar(
                sa.text(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
                    " AND pid <> pg_backend_pid() AND state <> 'idle'"
                ),
                {"name": NAME},
            )
            assert busy == 0
            assert session.bind.sync_engine.pool.checkedout() == 1  # this one
        await write(board, ranks=[4])
        pages = await asyncio.wait_for(asyncio.gather(*waiting), 10)
    assert all(ranks(page["events"]) == [4] for page in pages)


@pytest.mark.parametrize(
    "cursor",
    ["", "1", "abc.1", "0123456789abcdef", "0123456789abcdef.", "0123456789abcdef.-1",
     "0123456789ABCDEF.1", "0123456789abcdef.1.2", "0123456789abcdef.1\n", "０123456789abcdef.１",
     "0123456789abcdef.9999999999999999999", "\x00", "' OR 1=1"],
)  # fmt: skip
async def test_a_malformed_cursor_is_refused(standing_board: App, cursor: str) -> None:
    answer = await standing_board.as_service().get("/internal/feed", params={"after": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["errors"][0]["pointer"] == "/query/after"


@pytest.mark.parametrize(
    "params",
    [{}, {"wait": "-1"}, {"wait": "31"}, {"wait": "nan"}, {"wait": "inf"}, {"limit": "0"},
     {"limit": "1001"}, {"limit": "9" * 5000}, {"type": [NOTE_CHANGED] * 21}],
)  # fmt: skip
async def test_what_cannot_be_asked(standing_board: App, params: dict[str, Any]) -> None:
    after = {"after": await start_of(standing_board)} if params else {}
    answer = await standing_board.as_service().get("/internal/feed", params={**after, **params})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


@pytest.mark.parametrize("path", ["/internal/feed?after=x", "/internal/snapshot"])
async def test_only_neighbours_are_let_in(
    standing_board: App, identity: Identity, path: str
) -> None:
    for client, code in (
        (standing_board.client(), "token.missing"),
        (standing_board.client("somebody-else"), "token.invalid"),
        (standing_board.as_role(Role.CITY_OFFICER), "token.invalid"),
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_foreign_epoch_is_gone(board: App) -> None:
    assert await refusal_of(board, "0123456789abcdef.0", wait=10) == (410, "feed.gone")


async def test_a_position_that_was_never_given_ends_the_epoch(board: App) -> None:
    start = await start_of(board)
    await write(board, ranks=[1, 2])
    assert (await feed_page(board, at(start, 2)))["events"] == []
    assert await refusal_of(board, at(start, 3), wait=10) == (410, "feed.gone")
    assert Cursor.parse(await start_of(board)).epoch != Cursor.parse(start).epoch
    assert await refusal_of(board, at(start, 0)) == (410, "feed.gone")


async def test_events_are_purged_after_seven_days(board: App, clock: FixedClock) -> None:
    sessions: Sessions = board.state["sessions"]
    publisher: Publisher = board.state["publisher"]
    start = await start_of(board)
    await write(board, ranks=[0, 1, 2, 3])

    async def written(ago: timedelta, *positions: int) -> None:
        async with sessions.write() as session:
            await session.execute(
                sa.update(OUTBOX)
                .where(OUTBOX.c.position.in_(positions))
                .values(time=clock.now() - ago)
            )

    await written(timedelta(days=7, seconds=1), 1, 2)
    await written(timedelta(days=6, hours=23, minutes=59), 3)
    await written(timedelta(0), 4)
    async with sessions.write() as session:
        # Old, and not numbered yet: nobody has been told of it.
        await session.execute(
            sa.insert(OUTBOX).values(
                event_id=sa.func.gen_random_uuid(),
                type="x",
                data={},
                time=clock.now() - timedelta(days=8),
            )
        )
    await publisher.purge()
    assert await refusal_of(board, start) == (410, "feed.gone")
    assert await refusal_of(board, at(start, 1)) == (410, "feed.gone")
    page = await feed_page(board, at(start, 2))
    assert (ranks(page["events"]), page["next"]) == ([2, 3], at(start, 4))
    await publisher.purge()
    assert (await feed_page(board, at(start, 2)))["next"] == at(start, 4)
    await publisher.publish()
    assert len((await feed_page(board, at(start, 2)))["events"]) == 3
    clock.advance(timedelta(days=8))
    await publisher.purge()
    # Whoever has read everything stays where they are, although nothing is left.
    page = await feed_page(board, at(start, 5))
    assert (page["events"], page["next"], page["head"]) == ([], at(start, 5), at(start, 5))
    assert await refusal_of(board, at(start, 4)) == (410, "feed.gone")


async def test_a_purge_between_two_looks_is_not_taken_for_silence(
    board: App, clock: FixedClock
) -> None:
    """The events go while the page is put together: their reader must be told, not moved past."""
    start = await start_of(board)
    await write(board, ranks=[1, 2, 3])
    clock.advance(timedelta(days=400))
    publisher: Publisher = board.state["publisher"]
    with interrupted("before", "FROM feed_head LEFT OUTER JOIN LATERAL", publisher.purge):
        answer = await board.as_service().get("/internal/feed", params={"after": start})
    if answer.status_code == 200:
        assert ranks(answer.json()["events"]) == [1, 2, 3]
    else:
        assert (answer.status_code, answer.json()["code"]) == (410, "feed.gone")


async def test_the_snapshot_says_where_to_follow_from(board: App, snapshots: Snapshots) -> None:
    snapshots.page_size = 2
    start = await start_of(board)
    await write(board, ranks=[1, 2, 3])
    neighbour = board.as_service()
    first = (await neighbour.get("/internal/snapshot")).json()
    assert first["position"] == at(start, 3)
    assert [item["type"] for item in first["items"]] == [NOTE_CHANGED]
    assert [note["rank"] for note in first["items"][0]["data"]["notes"]] == [1, 2]
    await write(board, ranks=[4])
    last = (await neighbour.get("/internal/snapshot", params={"after": first["next"]})).json()
    assert [note["rank"] for note in last["items"][0]["data"]["notes"]] == [3, 4]
    assert last["position"] == at(start, 4)
    page = await feed_page(board, first["position"])
    assert ranks(page["events"]) == [4]


async def test_an_empty_producer_has_an_empty_snapshot(board: App) -> None:
    answer = await board.as_service().get("/internal/snapshot")
    assert answer.json() == {"items": [], "next": None, "position": await start_of(board)}


async def test_events_of_before_the_snapshot_that_have_no_position_yet_come_after_it(
    board: App,
) -> None:
    sessions: Sessions = board.state["sessions"]
    async with sessions.write() as session:
        await add_note(session, rank=5)
    snapshot = (await board.as_service().get("/internal/snapshot")).json()
    await board.state["publisher"].publish()
    page = await feed_page(board, snapshot["position"])
    assert ranks(page["events"]) == [5]


async def test_a_service_without_a_feed_has_none(
    board_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with open_board(board_db, identity, clock, snapshots=None) as board:
        for path in ("/internal/feed?after=0123456789abcdef.0", "/internal/snapshot"):
            answer = await board.as_service().get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "route.not_found")
