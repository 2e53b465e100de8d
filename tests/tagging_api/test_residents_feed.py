"""What becomes of the register's feed: each fact once, the newest wins, a snapshot wins over all."""

import asyncio
from datetime import date
from uuid import UUID

import sqlalchemy as sa

from services.common import outbox
from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.projection import Fact, Follower
from services.tagging_api.models import Resident, ResidentPlace
from services.tagging_api.service.events import ASSIGNMENT_CHANGED
from services.tagging_api.service.residents_feed import RESIDENT_CHANGED, ResidentsProjection
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import (
    JINSHA,
    OTHER,
    TOWN,
    compounds,
    person,
    place,
    residents,
)


async def stored(town: Town) -> dict[UUID, Resident]:
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.read() as session:
        return {row.id: row for row in await session.scalars(sa.select(Resident))}


async def places(town: Town, resident_id: str) -> list[str]:
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.read() as session:
        found = await session.scalars(
            sa.select(ResidentPlace.division_code)
            .where(ResidentPlace.resident_id == UUID(resident_id))
            .order_by(ResidentPlace.n)
        )
        return list(found)


async def test_a_resident_arrives_and_is_counted(town: Town) -> None:
    await town.live_here(person(sex="female"), person(sex="male"))
    assert await town.count({"field": "sex", "op": "eq", "value": "female"}) == 1
    assert await town.count({"area": TOWN}) == 2


async def test_a_newer_version_replaces_and_an_older_one_does_not(town: Town) -> None:
    first = person(sex="female", version=5, places=[place(JINSHA), place(OTHER)])
    await town.live_here(first)
    await town.live_here({**first, "version": 4, "sex": "male", "places": []})
    assert (await stored(town))[UUID(first["id"])].sex == "female"
    assert await places(town, first["id"]) == [JINSHA, OTHER]

    await town.live_here({**first, "version": 6, "sex": "male", "places": [place(OTHER)]})
    assert (await stored(town))[UUID(first["id"])].sex == "male"
    assert await places(town, first["id"]) == [OTHER]

    await town.live_here({**first, "version": 7, "places": []})
    assert await places(town, first["id"]) == []
    assert await town.count({"area": TOWN}) == 0


async def test_of_several_states_in_one_page_the_newest_counts(town: Town) -> None:
    someone = person(version=1, sex="male")
    await town.arrived(
        town.register,
        residents({**someone, "version": 2, "sex": "female"}),
        residents({**someone, "version": 3, "sex": "unknown"}, someone),
    )
    found = (await stored(town))[UUID(someone["id"])]
    assert (found.version, found.sex) == (3, "unknown")


async def test_numbers_are_dense_and_survive_changes(town: Town) -> None:
    people = [person() for _ in range(20)]
    await town.live_here(*people[:10])
    for version in (2, 3, 4):
        await town.live_here(*({**each, "version": version} for each in people[:10]))
    await town.live_here(*people)
    numbers = sorted(each.number for each in (await stored(town)).values())
    assert numbers == list(range(numbers[0], numbers[0] + 20))


async def test_a_place_counts_from_its_start_until_before_its_end(
    town: Town, clock: FixedClock
) -> None:
    today = date(2026, 11, 23)
    await town.live_here(
        person(places=[place(start=today)]),
        person(places=[place(start=date(2026, 11, 24))]),
        person(places=[place(end=today)]),
        person(places=[place(end=date(2026, 11, 24))]),
    )
    assert await town.count({"area": JINSHA}) == 2
    # 23:59 in Shanghai is still the same day, a minute later it is not.
    clock.at = clock.at.replace(hour=15, minute=59)
    assert await town.count({"area": JINSHA}) == 2
    clock.at = clock.at.replace(hour=16, minute=0)
    assert await town.count({"not": {"area": OTHER}}) == 2


async def test_a_snapshot_wins_whatever_the_version_and_forgets_whom_it_does_not_name(
    town: Town,
) -> None:
    stays, goes = person(version=9, sex="male"), person(labels=["志愿者"])
    await town.live_here(stays, goes)
    number = (await stored(town))[UUID(stays["id"])].number
    # A restored register: another epoch, older versions, and one person it has never heard of.
    town.register.now = [
        residents({**stays, "version": 2, "sex": "female"}),
        residents(*(person() for _ in range(3))),
        residents(person()),
    ]
    follower: Follower = town.tagging.state["followers"][0]
    async with town.register.open.state["sessions"].write() as session:
        await session.execute(sa.update(outbox.HEAD).values(epoch="f" * 16))
    await town.arrived(town.register, residents())
    assert follower.source == "residents_api"
    found = await stored(town)
    assert len(found) == 6
    gone = found[UUID(goes["id"])]
    assert (gone.state, gone.birth_date) == ("erased", None)
    kept = found[UUID(stays["id"])]
    assert (kept.version, kept.sex, kept.number) == (2, "female", number)
    assert await town.bearers("volunteer") == set()

    # Who comes back has the number that nobody else was given meanwhile.
    await town.live_here({**goes, "version": 2})
    back = (await stored(town))[UUID(goes["id"])]
    assert (back.number, back.state) == (gone.number, "active")
    assert len({each.number for each in (await stored(town)).values()}) == 6


async def test_the_taking_off_by_a_snapshot_is_told(town: Town) -> None:
    goes = person(labels=["志愿者"])
    await town.live_here(goes)
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.write() as session:
        await ResidentsProjection(town.tagging.state["clock"]).forget_before(session, 99)
    async with sessions.read() as session:
        mine = outbox.OUTBOX.c.type == ASSIGNMENT_CHANGED
        told = (
            await session.scalars(sa.select(outbox.OUTBOX.c.data).where(mine).order_by("id"))
        ).all()
    assert told == [
        {"tag": "volunteer", "resident_ids": [goes["id"]], "assigned": True},
        {"tag": "volunteer", "resident_ids": [goes["id"]], "assigned": False},
    ]


async def test_a_page_is_a_few_statements_however_many_people(
    alone: Sessions, clock: FixedClock
) -> None:
    feed = ResidentsProjection(clock)
    counts: list[int] = []
    for size in (1, 300):
        facts = [
            Fact(RESIDENT_CHANGED, {"residents": [person(labels=["志愿者", "书法"])]}, "event")
            for _ in range(size)
        ]
        with QueryLog() as queries:
            async with alone.write() as session:
                await feed.apply(session, facts, 1)
        counts.append(len(queries))
    assert counts == [10, 10]


async def test_two_processes_apply_a_page_once(town: Town) -> None:
    first: Follower = town.tagging.state["followers"][0]
    second = Follower(
        ResidentsProjection(town.tagging.state["clock"]),
        sessions=town.tagging.state["sessions"],
        http=first._http,  # noqa: SLF001 - the very same neighbour
    )
    someone = person(labels=["志愿者"])
    running = asyncio.create_task(second.run())
    try:
        for version in range(1, 20):
            await town.live_here({**someone, "version": version})
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert (await stored(town))[UUID(someone["id"])].version == 19
    assert await town.bearers("volunteer") == {someone["id"]}


async def test_a_compound_is_an_area(town: Town) -> None:
    compound = new_id()
    await town.live_here(person(places=[place(compound_id=compound)]), person())
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    asked = {"area": str(compound)}
    assert (await worker.get("/v1/tag-assignments", params=asked)).status_code == 403
    await town.arrived(town.register, compounds(**{str(compound): JINSHA}))
    assert (await worker.get("/v1/tag-assignments", params=asked)).status_code == 200
    elsewhere = town.tagging.as_role(Role.COMMUNITY_WORKER, OTHER)
    assert (await elsewhere.get("/v1/tag-assignments", params=asked)).status_code == 403
    # In a rule it is intersected, as everything is; a caller may be responsible for it alone.
    assert await town.count({"area": str(compound)}) == 1
    assert await town.count({"area": JINSHA}, str(compound)) == 1
    assert await town.count({"area": str(compound).upper()}, OTHER) == 0
