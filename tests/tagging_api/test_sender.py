"""Delivery in the background: kill -9 at any moment, and nobody is missed and nobody told twice."""

import asyncio
import multiprocessing
import os
import random
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import ForkServerContext
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.common.access import Role
from services.common.database import Notifications, Sessions
from services.common.identifiers import new_id
from services.tagging_api.models import (
    Campaign,
    Delivery,
    Message,
    Resident,
    ResidentPlace,
    Tag,
)
from services.tagging_api.service.campaigns import sending, steps
from services.tagging_api.service.campaigns.sending import Sender
from services.tagging_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.scarcity import one_connection, warned
from tests.tagging_api import senders
from tests.tagging_api.neighbours import JINSHA

PEOPLE = 3_000
BATCH = 5


async def _campaign(
    alone: Sessions,
    clock: FixedClock,
    *,
    people: int = PEOPLE,
    rule: dict[str, Any] | None = None,
) -> UUID:
    """A campaign that is being sent, to a village of invented people; its id."""
    ids = [new_id() for _ in range(people)]
    campaign_id = new_id()
    async with alone.write() as session:
        await session.execute(
            sa.insert(Resident), [{"id": each, "version": 1, "generation": 1} for each in ids]
        )
        await session.execute(
            sa.insert(ResidentPlace),
            [{"resident_id": each, "n": 0, "division_code": JINSHA} for each in ids],
        )
        await session.execute(
            sa.insert(Campaign).values(
                id=campaign_id,
                state="sending",
                title="通知",
                body="内容",
                rule=rule or {"area": JINSHA},
                areas=[JINSHA],
                created_by=f"account:{Role.COMMUNITY_WORKER}",
                created_at=clock.now(),
            )
        )
    return campaign_id


async def _progress(alone: Sessions, campaign_id: UUID) -> tuple[str, int | None, int]:
    async with alone.read() as session:
        row = (
            await session.execute(
                sa.select(Campaign.state, Campaign.recipients, Campaign.delivered).where(
                    Campaign.id == campaign_id
                )
            )
        ).one()
        return row.state, row.recipients, row.delivered


async def _messages(alone: Sessions, campaign_id: UUID) -> tuple[int, int]:
    """How many messages there are, and how many people have one."""
    async with alone.read() as session:
        row = (
            await session.execute(
                sa.select(sa.func.count(), sa.func.count(sa.distinct(Message.resident_id))).where(
                    Message.cause_id == campaign_id
                )
            )
        ).one()
        return row[0], row[1]


@contextmanager
def _process(settings: Settings) -> Generator["subprocess.Popen[bytes]"]:
    """The real service as a process of its own, whose neighbours are away."""
    away = {"url": "http://127.0.0.1:9", "token": "away"}
    values: dict[str, Any] = {
        "DATABASE__URL": settings.database.url.get_secret_value(),
        "SECURITY__ISSUER": settings.security.issuer,
        "SECURITY__JWKS_URL": settings.security.jwks_url,
        "RESIDENTS__URL": away["url"],
        "RESIDENTS__TOKEN": away["token"],
        "REPORTS__URL": away["url"],
        "REPORTS__TOKEN": away["token"],
        "GATEWAY__URL": away["url"],
        "GATEWAY__TOKEN": away["token"],
        "SEALING_KEY": settings.sealing_key.get_secret_value(),
        "CAMPAIGN_BATCH_SIZE": str(BATCH),
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "--port", "0"),
            *("--factory", "services.tagging_api.main:create_app"),
        ],
        env=os.environ | {f"TAGGING_{name}": value for name, value in values.items()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _moved(alone: Sessions, campaign_id: UUID, since: int) -> int:
    """Wait until some more has been delivered; how much."""
    while True:
        _, _, delivered = await _progress(alone, campaign_id)
        if delivered > since:
            return delivered
        await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Where sender processes come from: forked off one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tagging_api.senders"])
    return context


async def test_killed_twenty_times_while_sending(
    alone: Sessions, settings: Settings, clock: FixedClock, processes: ForkServerContext
) -> None:
    campaign_id = await _campaign(alone, clock)
    chance = random.Random(4)  # noqa: S311 - any moment will do
    delivered = 0
    for _ in range(20):
        process = processes.Process(
            target=senders.live, args=(settings.database.url.get_secret_value(), BATCH)
        )
        process.start()
        try:
            delivered = await _moved(alone, campaign_id, delivered)
            await asyncio.sleep(chance.uniform(0, 0.02))
        finally:
            process.kill()
            process.join()
            process.close()
        await _gone(alone)
        state, recipients, delivered = await _progress(alone, campaign_id)
        assert (state, recipients) == ("sending", PEOPLE)
        assert 0 < delivered < PEOPLE
        # What is counted is what is there: a batch is all or nothing.
        assert await _messages(alone, campaign_id) == (delivered, delivered)

    # Several go on with it at once, as the workers of a service do.
    several = [Sender(alone, clock=clock, batch_size=50) for _ in range(3)]
    while (await _progress(alone, campaign_id))[0] != "sent":
        await asyncio.gather(*(sender.step() for sender in several))
    assert await _progress(alone, campaign_id) == ("sent", PEOPLE, PEOPLE)
    assert await _messages(alone, campaign_id) == (PEOPLE, PEOPLE)


async def test_killed_in_the_middle_of_a_transaction(
    alone: Sessions, settings: Settings, clock: FixedClock
) -> None:
    campaign_id = await _campaign(alone, clock)
    async with alone.read() as session:
        last = await session.scalar(sa.select(Resident.id).order_by(Resident.id.desc()).limit(1))
    # Somebody holds the last recipient's message: the process stands still within its last batch.
    async with alone.write() as session:
        await session.execute(
            sa.insert(Message).values(
                resident_id=last,
                cause_id=campaign_id,
                title="",
                body="",
                subject_type="campaign",
                subject_id=campaign_id,
                created_at=clock.now(),
            )
        )
        with _process(settings):
            await _waiting(alone)
            standing = await _progress(alone, campaign_id)
        assert standing == ("sending", PEOPLE, PEOPLE - BATCH)
        await session.rollback()
    await _gone(alone)
    sender = Sender(alone, clock=clock, batch_size=50)
    while (await _progress(alone, campaign_id))[0] == "sending":
        await sender.step()
    assert await _progress(alone, campaign_id) == ("sent", PEOPLE, PEOPLE)
    assert await _messages(alone, campaign_id) == (PEOPLE, PEOPLE)


async def _gone(alone: Sessions) -> None:
    """Wait until the server has noticed that the process is dead, and undone what it had begun."""
    there = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'tagging_api' AND datname = current_database()"
    )
    async with alone.read() as session:
        while await session.scalar(there):
            await asyncio.sleep(0.01)


async def _waiting(alone: Sessions) -> None:
    """Wait until another transaction waits for ours."""
    waits = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    )
    async with alone.read() as session:
        while not await session.scalar(waits):
            await asyncio.sleep(0.01)


async def test_a_tag_that_becomes_the_highest_stops_what_is_under_way(
    alone: Sessions, clock: FixedClock
) -> None:
    campaign_id = await _campaign(alone, clock, people=30, rule={"not": {"tag": "veteran"}})
    sender = Sender(alone, clock=clock, batch_size=10)
    for _ in range(2):  # the audience, and one batch
        assert await sender.step()
    async with alone.write() as session:
        await session.execute(
            sa.update(Tag).where(Tag.code == "veteran").values(sensitivity="highest")
        )
    assert await sender.step()
    assert await _progress(alone, campaign_id) == ("stopped", 30, 10)
    assert not await sender.step()
    assert await _messages(alone, campaign_id) == (10, 10)


async def test_who_is_already_told_is_not_told_again(alone: Sessions, clock: FixedClock) -> None:
    campaign_id = await _campaign(alone, clock, people=10)
    sender = Sender(alone, clock=clock, batch_size=10)
    while await sender.step():
        pass
    # As if it were all to be done once more.
    async with alone.write() as session:
        await session.execute(sa.delete(Delivery))
        await session.execute(
            sa.update(Campaign).values(
                state="sending", delivered=0, recipients=None, handed_over=False
            )
        )
    while await sender.step():
        pass
    assert await _progress(alone, campaign_id) == ("sent", 10, 10)
    assert await _messages(alone, campaign_id) == (10, 10)


async def test_several_campaigns_are_sent_side_by_side(alone: Sessions, clock: FixedClock) -> None:
    first = await _campaign(alone, clock, people=20)
    second = await _campaign(alone, clock, people=20)
    async with alone.write() as held:
        # Another process is at work on the first.
        await held.execute(sa.select(Campaign).where(Campaign.id == first).with_for_update())
        sender = Sender(alone, clock=clock, batch_size=50)
        while await sender.step():
            pass
        assert await _progress(alone, second) == ("sent", 40, 40)
        assert await _progress(alone, first) == ("sending", None, 0)
    while await sender.step():
        pass
    assert await _progress(alone, first) == ("sent", 40, 40)


async def _refuse_audience(db: Database, campaign_id: UUID) -> None:
    """Let every statement fail that stores the audience of one campaign."""
    connection = await asyncpg.connect(db.admin_url)
    await connection.execute(
        f"ALTER TABLE tagging_api.campaign ADD CONSTRAINT fails"
        f" CHECK (id <> '{campaign_id}' OR recipients IS NULL)"
    )
    await connection.close()


async def _let_audience(db: Database) -> None:
    connection = await asyncpg.connect(db.admin_url)
    await connection.execute("ALTER TABLE tagging_api.campaign DROP CONSTRAINT fails")
    await connection.close()


async def test_a_campaign_that_fails_rests_and_holds_nobody_up(
    alone: Sessions, db: Database, clock: FixedClock
) -> None:
    failing = await _campaign(alone, clock, people=20)
    later = await _campaign(alone, clock, people=20)
    await _refuse_audience(db, failing)
    sender = Sender(alone, clock=clock, batch_size=50)
    with pytest.raises(DBAPIError):
        await sender.step()
    while await sender.step():
        pass
    assert await _progress(alone, later) == ("sent", 40, 40)
    assert await _progress(alone, failing) == ("sending", None, 0)
    # Tried again after a rest, which is longer each time and never longer than five minutes.
    rests = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    for rest in rests:
        clock.advance(timedelta(seconds=rest) - timedelta(milliseconds=1))
        assert not await sender.step()
        clock.advance(timedelta(milliseconds=1))
        with pytest.raises(DBAPIError):
            await sender.step()
    await _let_audience(db)
    clock.advance(timedelta(minutes=5))
    while await sender.step():
        pass
    assert await _progress(alone, failing) == ("sent", 40, 40)


async def test_a_rule_that_nobody_can_read_any_more_stops_its_campaign_only(
    alone: Sessions, clock: FixedClock
) -> None:
    unreadable = await _campaign(
        alone, clock, people=5, rule={"field": "shoe_size", "op": "eq", "value": 43}
    )
    later = await _campaign(alone, clock, people=5)
    sender = Sender(alone, clock=clock, batch_size=50)
    while await sender.step():
        pass
    assert await _progress(alone, unreadable) == ("stopped", None, 0)
    assert await _progress(alone, later) == ("sent", 10, 10)


async def test_delivery_outlives_a_database_that_has_no_connection_to_give(
    settings: Settings, alone: Sessions, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LOOK_AGAIN_SECONDS", 0.01)
    campaign_id = await _campaign(alone, clock, people=10)
    notifications = Notifications(settings.database, channel=steps.CHANNEL)
    async with one_connection(settings.database) as sessions:
        sender = Sender(sessions, clock=clock, batch_size=50)
        async with sessions.read() as taken:
            await taken.execute(sa.select(1))
            running = asyncio.create_task(sender.run(notifications))
            assert await warned(running, "campaigns.interrupted") == "TimeoutError"
        while (await _progress(alone, campaign_id))[0] == "sending":
            assert not running.done(), running
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
    assert await _progress(alone, campaign_id) == ("sent", 10, 10)
