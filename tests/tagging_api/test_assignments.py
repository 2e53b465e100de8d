"""Giving tags and taking them off: within one's areas, once, and told to whoever follows."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.outbox import OUTBOX
from services.tagging_api.models import TagAssignment
from services.tagging_api.service.events import snapshot
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, person, place, residents

PATH = "/v1/tag-assignments"


async def assign(client: httpx.AsyncClient, tag: str, *ids: str, **headers: str) -> httpx.Response:
    return await client.post(PATH, json={"tag": tag, "resident_ids": ids}, headers=headers)


async def remove(client: httpx.AsyncClient, tag: str, *ids: str) -> httpx.Response:
    return await client.request("DELETE", PATH, json={"tag": tag, "resident_ids": ids})


async def told(town: Town) -> list[dict[str, Any]]:
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.read() as session:
        found = await session.scalars(
            sa.select(OUTBOX.c.data)
            .where(OUTBOX.c.type == "cn.shequ.tagging.assignment.changed")
            .order_by(OUTBOX.c.id)
        )
        return list(found)


async def test_assigning_twice_assigns_once_and_says_so(town: Town) -> None:
    one, other = person(), person()
    await town.live_here(one, other)
    worker = town.tagging.as_role(Role.GRID_WORKER)
    first = await assign(worker, "volunteer", one["id"], one["id"])
    assert first.status_code == 200
    assert first.json() == {"assigned": 1, "already_assigned": 0, "not_found": []}
    second = await assign(worker, "volunteer", one["id"], other["id"])
    assert second.json() == {"assigned": 1, "already_assigned": 1, "not_found": []}
    gone = await remove(worker, "volunteer", one["id"])
    assert gone.json() == {"removed": 1, "not_assigned": 0, "not_found": []}
    again = await remove(worker, "volunteer", one["id"], other["id"])
    assert again.json() == {"removed": 1, "not_assigned": 1, "not_found": []}
    assert "position" not in (await remove(worker, "volunteer", one["id"])).headers
    assert await told(town) == [
        {"tag": "volunteer", "resident_ids": [one["id"]], "assigned": True},
        {"tag": "volunteer", "resident_ids": [other["id"]], "assigned": True},
        {"tag": "volunteer", "resident_ids": [one["id"]], "assigned": False},
        {"tag": "volunteer", "resident_ids": [other["id"]], "assigned": False},
    ]


async def test_a_count_after_an_assignment_includes_it(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    for n in range(5):
        tag = ("volunteer", "veteran", "elderly", "party_member", "hobby_choir")[n]
        position = (await assign(worker, tag, someone["id"])).headers["position"]
        count = await worker.post(
            "/v1/audiences/count", json={"rule": {"tag": tag}, "min_position": position}
        )
        assert count.json()["count"] == 1


async def test_a_count_waits_for_the_register_and_never_says_an_old_number(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    rule = {"rule": {"area": JINSHA}}
    for n in range(1, 6):
        position = await town.register.say(residents(person()))
        asked = rule | {"min_position": position}
        while (count := await worker.post("/v1/audiences/count", json=asked)).status_code == 503:
            pass  # a busy machine; an old number would not do
        assert count.json()["count"] == n
        assert position in count.json()["position"].split("~")
    source, epoch, number = position.split(".")
    for never in (
        f"{source}.{epoch}.{int(number) + 1}",
        f"{source}.{'0' * 16}.1",
        f"gateway.{epoch}.1",
    ):
        late = await worker.post("/v1/audiences/count", json=rule | {"min_position": never})
        assert (late.status_code, late.json()["code"]) == (503, "position.not_reached")


async def test_a_resident_registered_a_moment_ago_is_waited_for(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    for key in ({}, {"Idempotency-Key": "a-click"}):
        someone, nobody = person(), str(uuid4())
        await town.register.say(residents(someone))
        answer = await assign(worker, "volunteer", someone["id"], nobody, **key)
        assert answer.json() == {"assigned": 1, "already_assigned": 0, "not_found": [nobody]}
    replayed = await assign(worker, "volunteer", someone["id"], nobody, **key)
    assert replayed.json() == answer.json()
    assert replayed.headers["idempotency-replayed"] == "true"


async def test_nobody_outside_is_found(town: Town) -> None:
    here, there = person(), person(places=[place(OTHER)])
    both, moved_out = person(places=[place(), place(OTHER)]), person(places=[])
    await town.live_here(here, there, both, moved_out)
    ids = [each["id"] for each in (here, there, both, moved_out)]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    made = (await assign(worker, "volunteer", *ids)).json()
    assert made == {
        "assigned": 2,
        "already_assigned": 0,
        "not_found": [there["id"], moved_out["id"]],
    }
    ended = (await remove(town.tagging.as_role(Role.GRID_WORKER, OTHER), "volunteer", *ids)).json()
    assert ended == {"removed": 1, "not_assigned": 1, "not_found": [here["id"], moved_out["id"]]}
    nowhere = town.tagging.client(town.tagging._identity.token(Role.GRID_WORKER, areas=()))  # noqa: SLF001
    assert (await assign(nowhere, "volunteer", here["id"])).json()["not_found"] == [here["id"]]


async def test_the_list_shows_ones_areas_and_pages(town: Town) -> None:
    people = [person(labels=["志愿者", "退役军人"]) for _ in range(5)]
    await town.live_here(*people, person(labels=["志愿者"], places=[place(OTHER)]))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    pairs: list[tuple[str, str]] = []
    token: str | None = None
    while True:
        params = {"page_size": 3} | ({"page_token": token} if token else {})
        answer = (await worker.get(PATH, params=params)).json()
        pairs += [(item["resident_id"], item["tag"]) for item in answer["items"]]
        if (token := answer["next_page_token"]) is None:
            break
    assert pairs == sorted((p["id"], t) for p in people for t in ("volunteer", "veteran"))
    forbidden = await worker.get(PATH, params={"area": OTHER})
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "area.forbidden")
    elsewhere = await worker.get(PATH, params={"resident_id": str(uuid4())})
    assert elsewhere.json()["items"] == []
    for size in (1, 200):
        with QueryLog() as queries:
            await worker.get(PATH, params={"page_size": size, "tag": "volunteer"})
        assert sum("FROM tag_assignment" in each for each in queries.statements) == 1


async def test_the_highest_needs_its_own_permission(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    worker, officer = (town.tagging.as_role(r) for r in (Role.COMMUNITY_WORKER, Role.TOWN_OFFICER))
    tag = "community_correction"
    # To them it does not exist: they are told the same of a tag that nobody has made.
    answers = {
        each: [
            await assign(worker, each, someone["id"]),
            await remove(worker, each, someone["id"]),
            await worker.post("/v1/audiences/count", json={"rule": {"not": {"tag": each}}}),
            await worker.post(
                "/v1/campaigns", json={"rule": {"tag": each}, "title": "甲", "body": "乙"}
            ),
        ]
        for each in (tag, "no_such_tag")
    }
    for refused in (*answers[tag], *answers["no_such_tag"]):
        assert (refused.status_code, refused.json()["code"]) == (422, "tag.unknown")
    said = [[answer.json()["errors"] for answer in answers[each]] for each in answers]
    assert said[0] == said[1]
    assert (await assign(officer, tag, someone["id"])).json()["assigned"] == 1
    asked = {"resident_id": someone["id"]}
    assert (await worker.get(PATH, params=asked)).json()["items"] == []
    assert (await worker.get(PATH, params={"tag": tag})).json()["items"] == []
    assert [i["tag"] for i in (await officer.get(PATH, params=asked)).json()["items"]] == [tag]
    assert await town.count({"tag": tag}, role=Role.TOWN_OFFICER) == 1


async def test_what_is_no_assignment_is_refused(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    someone = str(uuid4())
    faults: list[tuple[Any, str, str]] = [
        ({"tag": "no_such_tag", "resident_ids": [someone]}, "/tag", "tag.unknown"),
        ({"tag": "volunteer", "resident_ids": []}, "/resident_ids", "too_short"),
        ({"tag": "volunteer", "resident_ids": [someone] * 1001}, "/resident_ids", "too_long"),
        ({"tag": "volunteer", "resident_ids": ["x"]}, "/resident_ids/0", "uuid_parsing"),
        ({"tag": "volunteer", "resident_ids": [someone], "x": ""}, "/x", "extra_forbidden"),
        ({"resident_ids": [someone]}, "/tag", "missing"),
    ]
    for body, pointer, code in faults:
        for method in ("POST", "DELETE"):
            answer = await worker.request(method, PATH, json=body)
            assert answer.status_code == 422
            assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_clicks_at_once_assign_once(town: Town) -> None:
    people = [person() for _ in range(60)]
    await town.live_here(*people)
    ids = [each["id"] for each in people]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    answers = await asyncio.gather(*(assign(worker, "volunteer", *ids) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["assigned"] for answer in answers) == 60
    events = await told(town)
    assert sorted(each for event in events for each in event["resident_ids"]) == sorted(ids)

    ended = await asyncio.gather(
        *(remove(worker, "volunteer", *(reversed(ids) if n % 2 else ids)) for n in range(8))
    )
    assert sum(answer.json()["removed"] for answer in ended) == 60
    assert await town.bearers("volunteer") == set()


async def test_overlapping_sets_in_any_order_wait_and_do_not_deadlock(
    town: Town, alone: Sessions
) -> None:
    people = sorted((person() for _ in range(9)), key=lambda each: str(each["id"]))
    await town.live_here(*people)
    ids = [each["id"] for each in people]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    waits = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    )
    # Somebody is at the one in the middle: both wait there, or one of them for the other.
    async with alone.write() as held:
        middle = {"resident_id": UUID(ids[4]), "tag_code": "volunteer", "source": "worker"}
        await held.execute(sa.insert(TagAssignment).values(**middle, created_at=sa.func.now()))
        clicks = [
            asyncio.create_task(assign(worker, "volunteer", *order)) for order in (ids, ids[::-1])
        ]
        async with alone.read() as session:
            while (await session.scalar(waits) or 0) < 2:
                await asyncio.sleep(0.01)
        await held.rollback()
    answers = await asyncio.gather(*clicks)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sorted(answer.json()["assigned"] for answer in answers) == [0, 9]


async def test_a_follower_that_starts_late_reads_the_snapshot(town: Town, alone: Sessions) -> None:
    rows = [
        {
            "resident_id": UUID(int=n),
            "tag_code": tag,
            "source": "worker",
            "created_at": town.tagging.state["clock"].now(),
        }
        for n in range(5_500)
        for tag in ("veteran", "volunteer")
    ]
    async with alone.write() as session:
        await session.execute(sa.insert(TagAssignment), rows)
    found: list[tuple[str, str]] = []
    token: str | None = None
    pages = 0
    neighbour = town.tagging.as_service()
    while True:
        params = {"after": token} if token else {}
        page = (await neighbour.get("/internal/snapshot", params=params)).json()
        pages += 1
        for item in page["items"]:
            assert item["type"] == "cn.shequ.tagging.assignment.changed"
            assert item["data"]["assigned"] is True
            assert 1 <= len(item["data"]["resident_ids"]) <= 1000
            found += [(item["data"]["tag"], each) for each in item["data"]["resident_ids"]]
        if (token := page["next"]) is None:
            break
    assert pages == 2
    assert len(found) == len(set(found)) == len(rows)
    async with alone.read() as session:
        page = snapshot(town.tagging.state["clock"])
        assert await page(session, f"volunteer/{UUID(int=5_499)}") == ([], None)
    for nonsense in ("x", "volunteer/x"):
        answer = await neighbour.get("/internal/snapshot", params={"after": nonsense})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "cursor.malformed")
