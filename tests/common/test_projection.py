"""The consumer: every event exactly once, and a snapshot whenever the feed cannot be followed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Literal

import httpx
import pytest
import sqlalchemy as sa

from services.common import outbox, projection
from services.common.database import WriteSession
from services.common.outbox import OUTBOX, Event
from services.common.positions import Cursor, Position, PositionNotReached
from services.common.projection import Fact, Follower
from tests.common import board as board_app
from tests.common.board import (
    BOARD_CLEANED,
    NAME,
    Snapshots,
    add_note,
    remove,
    touch,
)
from tests.common.interruptions import interrupted
from tests.common.mirror import Mirror, Notes, open_mirror
from tests.common.test_feed import emit
from tests.common.test_outbox import write
from tests.conftest import Database, FixedClock
from tests.houses import App

_EIGHT_DAYS = timedelta(days=8)
# As a restored producer says it.
_NEW_EPOCH = sa.text("UPDATE feed_head SET epoch = 'fedcba9876543210'")
_FORGET_EPOCH = sa.text("UPDATE feed_cursor SET epoch = '0000000000000000'")


async def same(board: App, mirror: Mirror) -> bool:
    return await mirror.states() == await board_app.states(board.state["sessions"])


async def change(board: App, act: Callable[..., Awaitable[Any]], *args: Any, **values: Any) -> Any:
    async with board.state["sessions"].write() as session:
        done = await act(session, *args, **values)
    await board.state["publisher"].publish()
    return done


async def test_a_new_consumer_takes_the_snapshot_and_follows(board: App, mirror: Mirror) -> None:
    await write(board, ranks=[1, 2])
    assert await mirror.follower.step()
    assert await same(board, mirror)
    assert await mirror.counted() == []  # state, not events
    assert not mirror.follower.caught_up
    await write(board, ranks=[3])
    await mirror.catch_up()
    assert await same(board, mirror)
    assert len(await mirror.counted()) == 1
    assert mirror.follower.caught_up


class Repeats(Notes):
    """A projection that has something to say itself."""

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        await super().apply(session, facts, generation)
        await outbox.emit(session, Event(BOARD_CLEANED, {"facts": len(facts)}))


async def test_what_a_projection_says_is_numbered_at_once(
    board: App, mirror: Mirror, clock: FixedClock
) -> None:
    """Its sweep would do so, too, a second later; here there is none."""
    await outbox.open_feed(mirror.sessions)
    client = board.as_service()
    publisher = outbox.Publisher(mirror.sessions, service="mirror", clock=clock)
    follower = Follower(Repeats(), sessions=mirror.sessions, http=client, publisher=publisher)

    async def positions() -> list[int | None]:
        async with mirror.sessions.read() as session:
            found = await session.scalars(sa.select(OUTBOX.c.position).order_by(OUTBOX.c.id))
            return list(found)

    await write(board, ranks=[1])
    await follower.step()
    assert await positions() == [1]

    async def lose_the_connection() -> None:
        raise ConnectionResetError

    # The page stands, whatever becomes of the numbering: the next one makes up for it.
    await write(board, ranks=[2])
    with interrupted("before", "FROM feed_head FOR UPDATE", lose_the_connection):
        assert await follower.step()
    assert await positions() == [1, None]
    await write(board, ranks=[3])
    await follower.step()
    assert await positions() == [1, 2, 3]


async def test_the_snapshot_has_its_own_generation(
    board: App, mirror: Mirror, snapshots: Snapshots
) -> None:
    snapshots.page_size = 2
    await write(board, ranks=[1, 2, 3, 4, 5])
    await mirror.catch_up()
    assert mirror.projection.generations == [1, 1, 1]
    await write(board, ranks=[6])
    await mirror.catch_up()
    assert mirror.projection.generations == [1, 1, 1, 1]


async def test_what_changes_during_the_snapshot_is_not_lost(
    board: App, mirror: Mirror, snapshots: Snapshots
) -> None:
    snapshots.page_size = 2
    first = (await change(board, add_note, rank=0)).id
    gone = (await change(board, add_note, rank=1)).id
    await write(board, ranks=[2, 3])
    assert await mirror.follower.step()
    # The page that was read is out of date already; the one to come brings more.
    await change(board, touch, first, rank=50)
    await change(board, add_note, rank=4)
    await change(board, remove, gone)
    assert await mirror.follower.step()
    await change(board, touch, first, rank=51)
    await mirror.catch_up()
    mirrored = await mirror.states()
    assert mirrored.pop(str(gone))  # nobody told; only a new snapshot would
    assert mirrored == await board_app.states(board.state["sessions"])
    assert snapshots.asked[0] is None
    assert snapshots.asked.count(None) == 1


async def test_a_late_event_of_an_older_version_is_dropped(board: App, mirror: Mirror) -> None:
    note = (await change(board, add_note, rank=1)).id
    await mirror.catch_up()
    for version, rank in ((3, 33), (2, 22)):
        state = {"id": str(note), "version": version, "rank": rank}
        await emit(board, Event(board_app.NOTE_CHANGED, {"notes": [state]}))
    await mirror.catch_up()
    assert (await mirror.states())[str(note)]["rank"] == 33


async def test_a_page_applied_by_two_counts_once(
    board: App, mirror: Mirror, mirror_db: Database
) -> None:
    await mirror.catch_up()
    await write(board, ranks=[1, 2, 3])
    url = mirror_db.urls["tagging_api"]
    async with open_mirror(url, transport=board.transport, pause=0.05) as twin:
        await asyncio.gather(mirror.follower.step(), twin.follower.step())
        assert len(await mirror.counted()) == 3
        await write(board, ranks=[4])
        await asyncio.gather(*(m.catch_up() for m in (mirror, twin)))
    assert len(await mirror.counted()) == len(set(await mirror.counted())) == 4


async def test_a_snapshot_page_applied_by_two_counts_once(
    board: App, mirror: Mirror, mirror_db: Database, snapshots: Snapshots
) -> None:
    snapshots.page_size = 2
    await write(board, ranks=[1, 2, 3, 4, 5])
    url = mirror_db.urls["tagging_api"]
    async with open_mirror(url, transport=board.transport, pause=0.02) as twin:
        await asyncio.gather(mirror.catch_up(), twin.catch_up())
    assert await same(board, mirror)
    assert mirror.projection.generations + twin.projection.generations == [1, 1, 1]


@pytest.mark.parametrize(
    ("when", "statement"),
    [
        ("after", "INSERT INTO counted"),
        ("before", "UPDATE feed_cursor"),
        ("after", "UPDATE feed_cursor"),
    ],
)
async def test_what_fails_to_apply_moves_nothing(
    board: App, mirror: Mirror, when: Literal["before", "after"], statement: str
) -> None:
    await mirror.catch_up()
    before = await mirror.cursor()
    await write(board, ranks=[1])

    async def lose_the_connection() -> None:
        raise ConnectionResetError

    lost = pytest.raises(ConnectionResetError)
    with interrupted(when, statement, lose_the_connection), lost:
        await mirror.follower.step()
    assert await mirror.cursor() == before
    assert await mirror.counted() == []
    await mirror.catch_up()
    assert len(await mirror.counted()) == 1


async def test_types_that_were_not_asked_for_do_not_arrive(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    seen: list[Fact] = []
    apply = mirror.projection.apply

    async def note(session: Any, facts: Any, generation: int) -> None:
        seen.extend(facts)
        await apply(session, facts, generation)

    mirror.projection.apply = note
    mirror.projection.types = (BOARD_CLEANED,)
    await emit(board, Event(BOARD_CLEANED, {"n": 1}), Event("cn.shequ.tests.other", {}))
    await write(board, ranks=[1])
    await mirror.catch_up()
    assert [(fact.type, dict(fact.data)) for fact in seen] == [(BOARD_CLEANED, {"n": 1})]
    assert (await mirror.cursor()).position == 3


async def _grow_old(board: App, clock: FixedClock) -> None:
    """Events are dated by the database: whatever it says, they are eight days old."""
    async with board.state["sessions"].write() as session:
        await session.execute(sa.update(OUTBOX).values(time=clock.now() - _EIGHT_DAYS))


async def test_a_consumer_that_is_told_gone_starts_again(
    board: App, mirror: Mirror, clock: FixedClock
) -> None:
    kept = (await change(board, add_note, rank=1)).id
    vanished = (await change(board, add_note, rank=2)).id
    await mirror.catch_up()
    await change(board, touch, kept, rank=5)
    await change(board, remove, vanished)
    await _grow_old(board, clock)
    await board.state["publisher"].purge()
    await mirror.catch_up()
    assert await same(board, mirror)
    assert str(vanished) not in await mirror.states()
    assert (await mirror.cursor()).generation == 2
    # Whoever is ready stays ready: the old state still answers while the new one is read.
    assert mirror.follower.caught_up


async def test_an_empty_snapshot_forgets_everything(board: App, mirror: Mirror) -> None:
    note = (await change(board, add_note)).id
    await mirror.catch_up()
    await change(board, remove, note)
    await emit(board)
    async with mirror.sessions.write() as session:
        await session.execute(_FORGET_EPOCH)
    await mirror.catch_up()
    assert await mirror.states() == {}


async def test_a_restore_during_the_snapshot_is_noticed_after_it(
    board: App, mirror: Mirror, snapshots: Snapshots
) -> None:
    snapshots.page_size = 2
    await write(board, ranks=[1, 2, 3])
    await mirror.follower.step()
    async with board.state["sessions"].write() as session:
        await session.execute(_NEW_EPOCH)
        await add_note(session, rank=9)
    await board.state["publisher"].publish()
    await mirror.catch_up()
    assert await same(board, mirror)
    assert (await mirror.cursor()).generation == 2


async def position_of(board: App) -> str:
    return str(await board.state["publisher"].publish())


async def test_reach_waits_for_what_is_on_its_way(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    running = asyncio.create_task(mirror.follower.run())
    try:
        await write(board, ranks=[1])
        await projection.reach([mirror.follower], await position_of(board), own="mirror")
        assert len(await mirror.counted()) == 1
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_reach_sees_what_another_process_applies(
    board: App, mirror: Mirror, mirror_db: Database
) -> None:
    await mirror.catch_up()
    await write(board, ranks=[1])
    wanted = await position_of(board)
    async with open_mirror(mirror_db.urls["tagging_api"], transport=board.transport) as twin:
        waiting = asyncio.create_task(projection.reach([mirror.follower], wanted, own="mirror"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await twin.catch_up()
        await asyncio.wait_for(waiting, 0.8)


async def test_reach_gives_up_after_a_second(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    await write(board, ranks=[1])
    began = time.monotonic()
    with pytest.raises(PositionNotReached):
        await projection.reach([mirror.follower], await position_of(board), own="mirror")
    assert 0.9 < time.monotonic() - began < 5


async def test_a_position_of_another_life_is_never_reached(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    foreign = str(Position.of([(NAME, Cursor("0123456789abcdef", 0))]))
    with pytest.raises(PositionNotReached):
        await projection.reach([mirror.follower], foreign, own="mirror")


async def test_reach_knows_ones_own_feed_and_no_stranger(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    here = await position_of(board)
    await projection.reach([mirror.follower], None, own="mirror")
    await projection.reach([mirror.follower], here, own="mirror")
    await projection.reach([mirror.follower], f"mirror.0123456789abcdef.99~{here}", own="mirror")
    began = time.monotonic()
    with pytest.raises(PositionNotReached):
        await projection.reach([mirror.follower], f"{here}~stranger.{'0' * 16}.0", own="mirror")
    assert time.monotonic() - began < 0.9  # nothing to wait for


async def test_nothing_is_reached_before_the_first_snapshot(board: App, mirror: Mirror) -> None:
    with pytest.raises(PositionNotReached):
        await projection.reach([mirror.follower], await position_of(board), own="mirror")
    async with mirror.sessions.read() as session:
        assert await projection.current([mirror.follower], session) == Position(())


async def test_current_says_how_far_it_is(board: App, mirror: Mirror) -> None:
    await write(board, ranks=[1])
    await mirror.catch_up()
    async with mirror.sessions.read() as session:
        found = await projection.current([mirror.follower], session)
    assert str(found) == await position_of(board)


async def test_catching_up_waits_for_what_is_committed_by_now(board: App, mirror: Mirror) -> None:
    await mirror.catch_up()
    running = asyncio.create_task(mirror.follower.run())
    try:
        await write(board, ranks=[1])
        await mirror.follower.catch_up()
        assert len(await mirror.counted()) == 1
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_catching_up_gives_up_in_silence(board: App, mirror: Mirror) -> None:
    await mirror.follower.catch_up()  # no snapshot yet
    await mirror.catch_up()
    async with board.state["sessions"].write() as session:
        await session.execute(_NEW_EPOCH)
    await mirror.follower.catch_up()  # gone
    away = httpx.AsyncClient(
        base_url="http://board.test", transport=httpx.MockTransport(lambda _: httpx.Response(502))
    )
    async with away:
        follower = Follower(mirror.projection, sessions=mirror.sessions, http=away)
        await follower.catch_up()


class Flaky(httpx.AsyncBaseTransport):
    """A neighbour that is away now and then."""

    def __init__(self, board: App, answers: list[Any]) -> None:
        self._board = board
        self._answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._answers:
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer, text="<html>away</html>", request=request)
        return await self._board.transport.handle_async_request(request)


async def test_a_follower_outlives_its_neighbour(board: App, mirror_db: Database) -> None:
    await write(board, ranks=[1, 2])
    answers = [httpx.ConnectError("no"), 503, httpx.ReadTimeout("slow")]
    flaky = Flaky(board, answers)
    async with open_mirror(mirror_db.urls["tagging_api"], transport=flaky) as mirror:
        running = asyncio.create_task(mirror.follower.run())
        async with asyncio.timeout(20):
            while not mirror.follower.caught_up:
                assert not running.done()
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        assert await same(board, mirror)
    assert answers == []


async def test_two_followers_of_two_feeds_share_one_table(
    board: App, mirror: Mirror, mirror_db: Database
) -> None:
    class Others(Notes):
        source = "others"

    await mirror.catch_up()
    client = httpx.AsyncClient(
        base_url="http://board.test",
        transport=board.transport,
        headers=board.as_service().headers,
    )
    async with client:
        others = Follower(Others(), sessions=mirror.sessions, http=client)
        assert await others.step()
        async with mirror.sessions.read() as session:
            found = await projection.current([mirror.follower, others], session)
    assert [source for source, _ in found.cursors] == [NAME, "others"]


@pytest.mark.parametrize(
    "text",
    ["", "board", "board.1", "board.0123456789abcdef", "Board.0123456789abcdef.1",
     "board.0123456789abcdef.1~", "~", "board.0123456789abcdef.1~x", "b" * 41 + f".{'0' * 16}.1",
     f"board.{'0' * 16}.{'9' * 19}", f"board.{'0' * 16}.1 ", f"board.{'0' * 16}.١"],
)  # fmt: skip
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        Position.parse(text)


def test_positions_are_said_in_one_way() -> None:
    a, b = ("a_api", Cursor("0" * 16, 1)), ("b_api", Cursor("f" * 16, 10**18 - 1))
    assert Position.of([b, a]) == Position.of([a, b]) == Position.parse(str(Position.of([b, a])))
