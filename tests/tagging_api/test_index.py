"""Bitmaps find exactly those whom SQL and the plain evaluation find, whatever has changed."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.common import outbox
from services.common.areas import Area
from services.common.clock import SHANGHAI
from services.common.database import Notifications, Sessions, WriteSession
from services.common.positions import Cursor, Position, PositionNotReached
from services.common.settings import DatabaseSettings
from services.tagging_api.domain import evaluation
from services.tagging_api.domain.bitmaps import Columns
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    Compare,
    Days,
    FieldName,
    HasTag,
    Members,
    Operator,
    Rule,
)
from services.tagging_api.models import Audience, Resident, ResidentPlace, TagAssignment
from services.tagging_api.repository import audiences
from services.tagging_api.repository import index as repository
from services.tagging_api.service import events
from services.tagging_api.service import index as following
from services.tagging_api.service.index import FollowingIndex
from services.tagging_api.service.targeting import Targeting
from tests.conftest import Database, FixedClock
from tests.queries import QueryLog
from tests.tagging_api import rule_strategies
from tests.tagging_api.rule_strategies import (
    DAYS,
    FROZEN,
    Population,
    population,
    resident_id,
    settle,
)

SERVICE = "tagging_api"
COUNTY = (Area.parse("510182"),)


class Living:
    """A population that changes, in the database and here."""

    def __init__(self, people: Population, sessions: Sessions, clock: FixedClock) -> None:
        self.people = people
        self.sessions = sessions
        self.clock = clock
        self.publisher = outbox.Publisher(sessions, service=SERVICE, clock=clock)
        self.index = FollowingIndex(sessions, service=SERVICE, clock=clock)
        self.targeting = Targeting(self.index, service=SERVICE)

    def on(self, day: date) -> None:
        """Some time on a day, in the city."""
        self.clock.at = datetime.combine(day, time(0, 30), SHANGHAI).astimezone(UTC)

    async def change(self, draw: random.Random, some: int) -> None:
        """Some people become other people, and an event says who."""
        if not some:
            return
        others = {each.number: each for each in population(draw.randrange(40), size=120).people}
        chosen = draw.sample(self.people.people, some)
        stand_ins = draw.choices(list(others.values()), k=some)
        new = {
            old.number: replace(stand_in, number=old.number)
            for old, stand_in in zip(chosen, stand_ins, strict=True)
        }
        ids = [resident_id(number) for number in new]
        async with self.sessions.write() as session:
            touched = await repository.households(session, ids)
            await self._forget(session, ids)
            await settle(session, Population(tuple(new.values()), {}))
            touched |= await repository.households(session, ids)
            await outbox.emit(session, *events.resident_changed({*ids, *touched}))
        self.people = replace(
            self.people,
            people=tuple(new.get(each.number, each) for each in self.people.people),
        )

    async def retag(self, draw: random.Random, some: int) -> None:
        """Some lose a tag and some are given one by a worker; an event names tag and people."""
        tag, day = draw.choice(rule_strategies.TAGS), draw.choice(DAYS)
        losing = {each.number: each for each in draw.sample(self.people.people, some)}
        gaining = [each for each in losing.values() if tag not in each.tags]
        given = evaluation.Assignment("worker", day)
        async with self.sessions.write() as session:
            await session.execute(
                sa.delete(TagAssignment).where(
                    TagAssignment.tag_code == tag,
                    TagAssignment.resident_id.in_(map(resident_id, losing)),
                )
            )
            for each in gaining:
                session.add(
                    TagAssignment(
                        resident_id=resident_id(each.number),
                        tag_code=tag,
                        source=given.source,
                        created_at=datetime.combine(day, time(12), SHANGHAI),
                    )
                )
            pairs = [(tag, resident_id(number)) for number in losing]
            await outbox.emit(session, *events.assignment_changed(pairs, assigned=True))
        for number, each in losing.items():
            rest = {code: told for code, told in each.tags.items() if code != tag}
            losing[number] = replace(
                each, tags=rest if tag in each.tags else rest | {tag: (given,)}
            )
        self.people = replace(
            self.people,
            people=tuple(losing.get(each.number, each) for each in self.people.people),
        )

    async def _forget(self, session: WriteSession, ids: Sequence[UUID]) -> None:
        for table in (ResidentPlace, TagAssignment):
            await session.execute(sa.delete(table).where(table.resident_id.in_(ids)))
        await session.execute(sa.delete(Resident).where(Resident.id.in_(ids)))

    async def anew(self) -> Columns:
        """What an index that starts now holds."""
        fresh = FollowingIndex(self.sessions, service=SERVICE, clock=self.clock)
        await fresh.refresh()
        assert fresh.bitmaps is not None
        return fresh.bitmaps.columns

    def expected(self, rule: Rule, areas: Sequence[Area], on: date) -> set[int]:
        frozen = self.people.frozen
        found = evaluation.members(rule, self.people.people, areas=areas, on=on, frozen=frozen)
        return set(found)

    async def holds_what_is(self) -> None:
        assert self.index.bitmaps is not None
        columns = {place: column for place, column in self.index.bitmaps.columns.items() if column}
        assert columns == await self.anew()


@pytest.fixture
async def living(request: pytest.FixtureRequest, alone: Sessions, clock: FixedClock) -> Living:
    people = population(getattr(request, "param", 0), size=120)
    await outbox.open_feed(alone)
    async with alone.write() as session:
        await settle(session, people)
        session.add_all(_frozen(each, people.frozen[each]) for each in FROZEN)
    made = Living(people, alone, clock)
    made.on(DAYS[0])
    await made.index.refresh()
    return made


@pytest.fixture
def database_settings(db: Database) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(db.urls[SERVICE]))


def _frozen(audience_id: UUID, numbers: frozenset[int]) -> Audience:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Audience(
        id=audience_id,
        name="那时的人",
        kind="frozen",
        rule={},
        areas=[],
        created_by="account:test",
        sensitivity="public",
        tags=[],
        uses=[],
        frozen_at=at,
        members=repository.BitMap(numbers).serialize(),
        created_at=at,
        updated_at=at,
    )


@pytest.mark.parametrize("living", range(3), indirect=True)
@settings(
    max_examples=70,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    data=st.data(),
    seed=st.integers(0, 2**32),
    some=st.sampled_from((0, 1, 1, 3, 40)),
    on=st.sampled_from(DAYS),
    numbered=st.booleans(),
)
async def test_bitmaps_equal_sql_and_the_plain_evaluation(
    living: Living, data: st.DataObject, seed: int, some: int, on: date, numbered: bool
) -> None:
    """After every change, on whatever day, for ten rules and whoever asks."""
    draw = random.Random(seed)  # noqa: S311 - a town, not a secret
    await living.change(draw, some)
    await living.retag(draw, draw.randrange(5))
    if numbered:
        await living.publisher.number()
    living.on(on)
    await living.targeting.caught_up()
    async with living.sessions.read() as session:
        for _ in range(10):
            rule = data.draw(rule_strategies.rules(living.people))
            areas = data.draw(rule_strategies.areas)
            members = await living.targeting.members(session, rule, areas=areas, on=on)
            assert set(members) == living.expected(rule, areas, on)
            counted = await living.targeting.count(session, rule, areas=areas, on=on)
            assert counted == len(members)
            assert await audiences.count(session, rule, areas=areas, on=on) == counted


@pytest.mark.parametrize("living", [7, 8], indirect=True)
async def test_change_by_change_it_holds_what_one_holds_that_starts_now(living: Living) -> None:
    draw = random.Random(518)  # noqa: S311 - a town, not a secret
    other = FollowingIndex(living.sessions, service=SERVICE, clock=living.clock)
    await other.refresh()
    for round_number in range(12):
        if round_number % 4:
            await living.change(draw, draw.choice((1, 2, 30)))
        await living.retag(draw, draw.choice((0, 1, 9)))
        if round_number % 3 == 0:
            living.on(draw.choice(DAYS))  # back as well: clocks of machines differ
        if round_number % 2:
            await living.publisher.number()
        await living.index.refresh()
        await living.holds_what_is()
        if round_number % 4 == 0:
            await other.refresh()
    # Another process, which looked less often and saw other differences.
    await living.publisher.number()
    await other.refresh()
    await living.index.refresh()
    assert other.bitmaps is not None
    assert living.index.bitmaps is not None
    assert {k: v for k, v in other.bitmaps.columns.items() if v} == {
        k: v for k, v in living.index.bitmaps.columns.items() if v
    }
    assert other.position == living.index.position


async def test_it_says_how_far_it_is_and_waits_for_what_is_committed(living: Living) -> None:
    before = living.index.position
    await living.change(random.Random(1), 3)  # noqa: S311 - a town, not a secret
    position = await living.publisher.publish()
    assert not living.index.covers(position)
    await living.targeting.reach((), str(position))
    assert living.index.covers(position)
    assert living.index.covers(before)
    await living.holds_what_is()


async def test_an_old_number_is_never_told_for_a_position_it_has_not_reached(
    living: Living,
) -> None:
    ((_, own),) = living.index.position.cursors
    for cursor in (Cursor(own.epoch, own.position + 1), Cursor("0" * 16, 0)):
        with pytest.raises(PositionNotReached):
            await living.index.reach(Position.of([(SERVICE, cursor)]))


async def test_a_restored_database_is_read_anew(living: Living) -> None:
    await living.change(random.Random(2), 5)  # noqa: S311 - a town, not a secret
    async with living.sessions.write() as session:
        # Changes of which no event tells.
        await session.execute(sa.delete(outbox.OUTBOX))
        await session.execute(sa.update(outbox.HEAD).values(epoch="f" * 16))
    await living.index.refresh()
    await living.holds_what_is()
    ((_, own),) = living.index.position.cursors
    assert own.epoch == "f" * 16


async def test_an_index_too_far_behind_is_read_anew(living: Living) -> None:
    await living.change(random.Random(3), 5)  # noqa: S311 - a town, not a secret
    position = await living.publisher.number()
    async with living.sessions.write() as session:
        await session.execute(sa.delete(outbox.OUTBOX))
        await session.execute(sa.update(outbox.HEAD).values(purged=position.position))
    await living.index.refresh()
    await living.holds_what_is()


async def test_a_change_of_very_many_is_read_with_everybody_else(
    living: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_FEW", 10)
    loaded = living.index.bitmaps
    await living.change(random.Random(4), 2)  # noqa: S311 - a town, not a secret
    await living.index.refresh()
    assert living.index.bitmaps is loaded
    await living.change(random.Random(5), 100)  # noqa: S311 - a town, not a secret
    await living.index.refresh()
    assert living.index.bitmaps is not loaded
    await living.holds_what_is()


async def test_a_notification_is_enough(
    living: Living, database_settings: DatabaseSettings
) -> None:
    notifications = Notifications(database_settings, channel=outbox.channel(SERVICE))
    running = [
        asyncio.create_task(notifications.run()),
        asyncio.create_task(living.index.run(notifications)),
    ]
    await living.change(random.Random(6), 3)  # noqa: S311 - a town, not a secret
    position = await living.publisher.publish()
    async with asyncio.timeout(30):
        while not living.index.covers(position):
            await asyncio.sleep(0.01)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    await living.holds_what_is()


async def test_a_count_asks_the_database_for_nothing_or_for_one_thing(living: Living) -> None:
    on = DAYS[0]
    plain = AllOf((HasTag("veteran"), Compare(FieldName.AGE, Operator.GTE, (60,))))
    recent = AnyOf((HasTag("veteran", days=Days(Operator.LTE, (30,))), plain))
    async with living.sessions.read() as session:
        for rule, statements in ((plain, 0), (recent, 1), (recent, 0), (Members(FROZEN[0]), 1)):
            with QueryLog() as queries:
                counted = await living.targeting.count(session, rule, areas=COUNTY, on=on)
            assert len(queries) == statements, queries.statements
            assert counted == len(living.expected(rule, COUNTY, on))


async def test_another_day_than_today_is_answered_by_the_database(living: Living) -> None:
    on = DAYS[3]
    async with living.sessions.read() as session:
        members = await living.targeting.members(session, HasTag("veteran"), areas=COUNTY, on=on)
    assert set(members) == living.expected(HasTag("veteran"), COUNTY, on)
    assert living.index.bitmaps is not None
    assert living.index.bitmaps.day == DAYS[0]
