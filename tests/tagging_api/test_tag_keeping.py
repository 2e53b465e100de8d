"""Tags that rules keep: whatever changes and however many nights are missed, they are whom the rule finds."""

import asyncio
import os
import subprocess
import sys
from datetime import date, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common import clock as common_clock
from services.common import outbox
from services.common.clock import SystemClock
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.outbox import OUTBOX
from services.tagging_api.models import Resident, ResidentPlace, Tag, TagAssignment
from services.tagging_api.service.tag_keeping import Keeper
from services.tagging_api.settings import Settings
from tests.conftest import FixedClock
from tests.tagging_api.rule_strategies import TAGS, population
from tests.tagging_api.tag_world import DEFINED, World, rules_for


async def kept(*keepers: Keeper) -> None:
    """Until there is nothing left to do, whoever does it."""

    async def until_done(keeper: Keeper) -> None:
        while await keeper.step():
            pass

    while True:
        await asyncio.gather(*map(until_done, keepers))
        # One that found the other at work has seen nothing.
        if not await keepers[0].step():
            return


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(data=st.data(), seed=st.integers(0, 5))
async def test_memberships_are_whom_the_rules_find_after_every_step(
    alone: Sessions, clock: FixedClock, data: st.DataObject, seed: int
) -> None:
    clock.at = clock.at.replace(year=2026, month=11, day=20)
    town = population(seed, size=60)
    world = World(alone, clock, town, seed)
    await world.begin(town)
    keepers = [world.keeper(batch=7), world.keeper(batch=100)]
    for n, code in enumerate(DEFINED):
        await world.define(code, data.draw(rules_for(town, DEFINED[:n])))
    await kept(*keepers[:1])
    assert await world.borne() == world.expected()
    for turn in range(8):
        for _ in range(world.draw.randint(0, 4)):
            match world.draw.randint(0, 3):
                case 0:
                    await world.somebody_gets_a_tag()
                case 1:
                    await world.somebody_loses_a_tag()
                case _:
                    await world.somebody_changes()
        if turn % 4 == 3:
            n = world.draw.randrange(len(DEFINED))
            await world.define(DEFINED[n], data.draw(rules_for(town, DEFINED[:n])))
        if world.draw.random() < 0.7:
            world.days_pass()
        await kept(*keepers[: world.draw.choice((1, 2))])
        assert await world.borne() == world.expected()
    await _the_log_says_the_same(world)
    await _the_feed_says_the_same(world)


async def _the_log_says_the_same(world: World) -> None:
    log = await world.log()
    assert len({line[-1] for line in log}) == len(log)
    stories: dict[tuple[str, UUID], list[tuple[int, str]]] = {}
    for tag, resident, n, kind, _, _ in log:
        stories.setdefault((tag, resident), []).append((n, kind))
    for story in stories.values():
        assert story == [(n, ("left", "entered")[n % 2]) for n in range(1, len(story) + 1)]
    inside = {key for key, story in stories.items() if story[-1][1] == "entered"}
    async with world.sessions.read() as session:
        rows = await session.execute(
            sa.select(TagAssignment.tag_code, TagAssignment.resident_id).where(
                TagAssignment.source == "rule", TagAssignment.tag_code.not_in(TAGS)
            )
        )
        assert inside == {(row.tag_code, row.resident_id) for row in rows}


async def _the_feed_says_the_same(world: World) -> None:
    today = world.today
    async with world.sessions.read() as session:
        rows = await session.execute(
            sa.select(TagAssignment.tag_code, TagAssignment.resident_id).where(
                sa.func.coalesce(TagAssignment.valid_from, today) <= today,
                sa.func.coalesce(TagAssignment.valid_until, today + timedelta(days=1)) > today,
            )
        )
        borne = {(row.tag_code, str(row.resident_id)) for row in rows}
    for key, assigned in (await world.told()).items():
        assert assigned is (key in borne), key


@pytest.mark.parametrize("seed", [1, 2])
async def test_days_that_were_missed_give_the_same_events(
    alone: Sessions, clock: FixedClock, seed: int
) -> None:
    """Night by night, or all at once by two processes: the same people, days and ids."""
    begun = clock.at.replace(month=11, day=15)
    town = population(seed, size=200)
    logs: list[object] = []
    for every_night in (True, False):
        clock.at = begun
        world = World(alone, clock, town, seed)
        await world.begin(town)
        await kept(world.keeper())
        first = len(await world.log())
        for _ in range(30):
            clock.advance(timedelta(days=1))
            if every_night:
                await kept(world.keeper())
        await kept(world.keeper(), world.keeper())
        assert await world.borne() == world.expected()
        log = await world.log()
        assert len(log) > first
        logs.append((log, await world.event_ids()))
    assert logs[0] == logs[1]


async def test_a_night_without_crossings_says_nothing_and_looks_at_nobody(
    alone: Sessions, clock: FixedClock
) -> None:
    town = population(3, size=50)
    world = World(alone, clock, town, 3)
    await world.begin(town)
    await kept(world.keeper())
    said = await world.told()
    assert not await world.keeper().step()
    clock.advance(timedelta(hours=1))
    assert not await world.keeper().step()
    assert await world.told() == said


PEOPLE = 4_000


async def test_killed_at_any_moment_nobody_is_missed_and_nobody_comes_twice(
    alone: Sessions, settings: Settings
) -> None:
    """Two processes at once keep a rule that is new, and are killed again and again."""
    await outbox.open_feed(alone)
    births = {new_id(): date(1930 + n % 80, 1, 1) for n in range(PEOPLE)}
    plain = {"version": 1, "generation": 1}
    async with alone.write() as session:
        people = [{"id": each, "birth_date": born, **plain} for each, born in births.items()]
        await session.execute(sa.insert(Resident), people)
        places = [{"resident_id": each, "n": 0, "division_code": "510182104006"} for each in births]
        await session.execute(sa.insert(ResidentPlace), places)
    environment = os.environ | {"KEEPER_DATABASE": settings.database.url.get_secret_value()}
    command = [sys.executable, "-m", "tests.tagging_api.tag_keeper_process"]
    done, everything = 0, PEOPLE * await _rules(alone)
    while done < everything:
        processes = [subprocess.Popen(command, env=environment) for _ in range(2)]  # noqa: ASYNC220 - to be killed, not to be waited for
        try:
            stop = min(done + everything // 6, everything)
            while done < stop:
                assert all(process.poll() is None for process in processes)
                await asyncio.sleep(0.005)
                done = await _done(alone)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
    clock = SystemClock()
    publisher = outbox.Publisher(alone, service="tagging_api", clock=clock)
    await kept(Keeper(alone, clock=clock, publisher=publisher))
    today = common_clock.today(clock)
    wanted = {each for each, born in births.items() if common_clock.age(born, on=today) >= 80}
    async with alone.read() as session:
        bears = sa.select(TagAssignment.resident_id).where(TagAssignment.tag_code == "aged_80")
        assert set((await session.scalars(bears)).all()) == wanted
        log = await session.execute(
            sa.text("SELECT resident_id, n, kind FROM tag_membership_event WHERE tag_code = :tag"),
            {"tag": "aged_80"},
        )
        assert sorted(tuple(row) for row in log) == sorted((each, 1, "entered") for each in wanted)
        told = await session.scalars(
            sa.select(OUTBOX.c.data).where(OUTBOX.c.data["tag"].astext == "aged_80")
        )
        named = [UUID(each) for said in told for each in said["resident_ids"]]
    assert sorted(named) == sorted(wanted)


async def _done(sessions: Sessions) -> int:
    """How many evaluations are done, of all rules together."""
    async with sessions.read() as session:
        return await session.scalar(sa.select(sa.func.sum(Tag.rule_done))) or 0


async def _rules(sessions: Sessions) -> int:
    async with sessions.read() as session:
        return await session.scalar(sa.select(sa.func.count(Tag.rule_state))) or 0
