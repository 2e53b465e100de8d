"""Duplicates: found, decided on, merged, and taken apart again with nothing lost."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.repository import duplicates
from services.residents_api.service.duplicates import scan_some
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import dwelling_of, moved_in, occupancies
from tests.residents_api.ledgers import everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWN,
    TOWN,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

NAME = "欧阳明珠"
BORN = "1990-05-01"
PHONES = ("13800000001", "13800000002")
_KEPT = ("resident", "identity_document", "phone", "occupancy", "resident_label", "guardian")


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def scanned(sessions: Sessions, clock: FixedClock) -> None:
    """Until everybody who was written has been compared."""
    while True:
        await scan_some(sessions, clock)
        async with sessions.read() as session:
            if not await duplicates.anything_to_scan(session):
                return
        await asyncio.sleep(0.02)


async def pairs(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await client.get("/v1/duplicates", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def rows(sessions: Sessions) -> dict[str, list[dict[str, Any]]]:
    """All that merging may touch, but versions and times."""
    tables: dict[str, list[dict[str, Any]]] = {}
    async with sessions.read() as session:
        for name in _KEPT:
            found = await session.execute(sa.text(f"SELECT * FROM {name}"))  # noqa: S608
            tables[name] = sorted(
                (
                    {key: value for key, value in row.items() if key not in _MOVING_ON}
                    for row in found.mappings()
                ),
                key=repr,
            )
    return tables


_MOVING_ON = ("version", "updated_at", "ordinal")


@pytest.fixture
async def pair(
    divisions: None, town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> dict[str, Any]:
    """One person twice: from a ledger, and as somebody registered them."""
    await succeeded(
        town,
        person(NAME, number(BORN, 2), phones=PHONES[0], labels="志愿者", ethnicity="汉族"),
        person("屋主", number(sequence=901), room="102"),
    )
    (listed,) = [one for one in await everybody(town) if one["sex"] == "female"]
    twice = await registered(
        town,
        NAME,
        birth_date=BORN,
        sex="female",
        phones=list(PHONES),
        area_code=VILLAGE,
        education=None,
        occupation="教师",
    )
    homes = {room: await dwelling_of(town, room=room, area=VILLAGE) for room in ("101", "102")}
    for home in homes.values():
        await moved_in(town, twice["id"], home)
    await scanned(sessions, clock)
    (candidate,) = await pairs(town)
    return {"candidate": candidate, "listed": listed["id"], "twice": twice["id"], "homes": homes}


async def merged(client: httpx.AsyncClient, pair: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    answer = await client.post(
        f"/v1/duplicates/{pair['candidate']['id']}/merge",
        json={"survivor_id": pair["listed"], **wanted},
    )
    assert answer.status_code == 201, answer.text
    merge: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/merges/{merge['id']}"
    return merge


async def test_a_pair_is_found_and_shown_masked(
    pair: dict[str, Any], town: httpx.AsyncClient
) -> None:
    candidate = pair["candidate"]
    assert candidate["score"] >= 90
    assert {"name.same", "birth_date.same", "phone.same", "dwelling.same"} == set(
        candidate["reasons"]
    )
    assert {one["id"] for one in candidate["residents"]} == {pair["listed"], pair["twice"]}
    assert NAME not in str(candidate)
    assert PHONES[0] not in str(candidate)
    assert await pairs(town, area=NEXT_VILLAGE) == []
    assert len(await pairs(town, area=VILLAGE)) == 1


async def test_merging_and_undoing_loses_nothing(
    pair: dict[str, Any],
    town: httpx.AsyncClient,
    register: App,
    sessions: Sessions,
) -> None:
    before = await rows(sessions)
    since = await position(register)
    merge = await merged(town, pair)
    survivor, gone = pair["listed"], pair["twice"]
    plain = await revealed(town, survivor, "name", "phones")
    assert plain["phones"] == [f"+86{phone}" for phone in PHONES]
    lived = await occupancies(town, survivor)
    assert {one["dwelling_id"] for one in lived} == set(pair["homes"].values())
    told = {one["id"]: one for one in await states(register, after=since)}
    assert (told[gone]["state"], told[gone]["merged_into"]) == ("merged", survivor)
    assert told[gone]["places"] == []
    assert told[survivor]["state"] == "active"
    assert len(told[survivor]["places"]) == 2
    assert told[survivor]["labels"] == ["志愿者"]

    answer = await town.get(f"/v1/residents/{gone}")
    assert refusal(answer) == (410, "resident.merged")
    assert answer.json()["survivor_id"] == survivor
    assert [one["id"] for one in await found(town, phone=PHONES[0])] == [survivor]
    assert gone not in {one["id"] for one in await everybody(town)}
    assert await pairs(town) == []
    assert len(await pairs(town, state="merged")) == 1
    elsewhere = register.as_role(Role.TOWN_OFFICER, OTHER_TOWN)
    answer = await elsewhere.get(f"/v1/residents/{gone}")
    assert refusal(answer) == (404, "resident.not_found")

    shown = (await town.get(f"/v1/merges/{merge['id']}")).json()
    assert (shown["survivor_id"], shown["merged_id"]) == (survivor, gone)
    since = await position(register)
    answer = await town.post(f"/v1/merges/{merge['id']}/undo")
    assert answer.status_code == 200, answer.text
    assert answer.json()["undone_at"] is not None
    assert await rows(sessions) == before
    told = {one["id"]: one for one in await states(register, after=since)}
    assert {one["state"] for one in told.values()} == {"active"}
    assert len(told) == 2
    assert len(await pairs(town)) == 1
    again = await town.post(f"/v1/merges/{merge['id']}/undo")
    assert refusal(again) == (409, "merge.not_undoable")


async def test_fields_are_chosen_and_later_edits_stay(
    pair: dict[str, Any], town: httpx.AsyncClient
) -> None:
    survivor = pair["listed"]
    await changed(town, pair["twice"], employer="一中", education="undergraduate")
    await changed(town, survivor, education="junior_secondary", employer="二中")
    merge = await merged(town, pair, take=["education"])
    plain = await revealed(town, survivor, "employer")
    assert plain["employer"] == "二中"
    shown = (await town.get(f"/v1/residents/{survivor}")).json()
    assert shown["education"] == "undergraduate"
    # What the survivor's record did not say.
    assert shown["occupation"] == "教师"
    await changed(town, survivor, occupation="医生")
    assert (await town.post(f"/v1/merges/{merge['id']}/undo")).status_code == 200
    shown = (await town.get(f"/v1/residents/{survivor}")).json()
    assert (shown["education"], shown["occupation"]) == ("junior_secondary", "医生")
    other = (await town.get(f"/v1/residents/{pair['twice']}")).json()
    assert (other["education"], other["occupation"]) == ("undergraduate", "教师")


async def test_the_card_goes_with_the_survivor(
    pair: dict[str, Any], town: httpx.AsyncClient, sessions: Sessions
) -> None:
    before = await rows(sessions)
    merge = await merged(town, pair, survivor_id=pair["twice"])
    plain = await revealed(town, pair["twice"], "id_number")
    assert plain["id_number"] == number(BORN, 2)
    again = await registered(town, NAME, id_number=number("1991-01-01", 4), area_code=VILLAGE)
    assert again["id"] not in (pair["listed"], pair["twice"])
    assert (await town.post(f"/v1/merges/{merge['id']}/undo")).status_code == 200
    after = await rows(sessions)
    assert [
        row for row in after["identity_document"] if str(row["resident_id"]) != again["id"]
    ] == before["identity_document"]


async def test_an_unchanged_ledger_finds_the_survivor(
    pair: dict[str, Any], town: httpx.AsyncClient
) -> None:
    await merged(town, pair, survivor_id=pair["twice"])
    people = len(await everybody(town))
    await succeeded(
        town,
        person(NAME, number(BORN, 2), phones=PHONES[0], labels="志愿者"),
        person(NAME, birth_date=BORN, room="101"),
    )
    assert len(await everybody(town)) == people


async def test_dismissed_pairs_do_not_come_back(
    pair: dict[str, Any],
    town: httpx.AsyncClient,
    sessions: Sessions,
    clock: FixedClock,
) -> None:
    path = f"/v1/duplicates/{pair['candidate']['id']}"
    answer = await town.post(f"{path}/dismiss")
    assert (answer.status_code, answer.json()["state"]) == (200, "dismissed")
    answer = await town.post("/v1/duplicates/scan", params={"area": TOWN})
    assert answer.status_code == 202
    async with asyncio.timeout(10):
        while answer.json()["villages"] == 0:
            answer = await town.post("/v1/duplicates/scan", params={"area": TOWN})
    await scanned(sessions, clock)
    assert await pairs(town) == []
    assert len(await pairs(town, state="dismissed")) == 1


async def test_pairs_that_are_not_alike_any_more_leave(
    pair: dict[str, Any], town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    await changed(town, pair["twice"], name="完全不同")
    await scanned(sessions, clock)
    assert await pairs(town) == []


async def test_both_must_be_the_callers_to_see(
    divisions: None,
    town: httpx.AsyncClient,
    worker: httpx.AsyncClient,
    register: App,
    sessions: Sessions,
    clock: FixedClock,
) -> None:
    here = await registered(town, NAME, birth_date=BORN, area_code=VILLAGE)
    await registered(town, NAME, birth_date=BORN, area_code=NEXT_VILLAGE)
    await scanned(sessions, clock)
    (candidate,) = await pairs(town)
    assert await pairs(worker) == []
    for act, body in (("dismiss", None), ("merge", {"survivor_id": here["id"]})):
        answer = await worker.post(f"/v1/duplicates/{candidate['id']}/{act}", json=body)
        assert refusal(answer) == (404, "duplicate.not_found")
    answer = await town.post(
        f"/v1/duplicates/{candidate['id']}/merge", json={"survivor_id": here["id"]}
    )
    merge = answer.json()["id"]
    assert refusal(await worker.get(f"/v1/merges/{merge}")) == (404, "merge.not_found")
    assert refusal(await worker.post(f"/v1/merges/{merge}/undo")) == (404, "merge.not_found")
    grid = register.as_role(Role.GRID_WORKER, TOWN)
    assert refusal(await grid.get("/v1/duplicates")) == (403, "role.forbidden")
    assert refusal(await town.get("/v1/duplicates", params={"area": OTHER_TOWN})) == (
        403,
        "area.forbidden",
    )


async def test_what_is_refused(pair: dict[str, Any], town: httpx.AsyncClient) -> None:
    path = f"/v1/duplicates/{pair['candidate']['id']}/merge"
    answer = await town.post(path, json={"survivor_id": str(uuid4())})
    assert fault(answer) == ("/survivor_id", "survivor.not_of_pair")
    answer = await town.post(path, json={"survivor_id": pair["listed"], "take": ["phones"]})
    assert fault(answer)[0] == "/take/0"
    await merged(town, pair)
    answer = await town.post(path, json={"survivor_id": pair["listed"]})
    assert refusal(answer) == (404, "duplicate.not_found")
    for nowhere in (f"/v1/duplicates/{uuid4()}/dismiss", f"/v1/merges/{uuid4()}/undo"):
        assert (await town.post(nowhere)).status_code == 404


async def test_merges_in_a_row_are_undone_from_the_last(
    pair: dict[str, Any], town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    first = await merged(town, pair, survivor_id=pair["twice"])
    third = await registered(town, NAME, birth_date=BORN, sex="female", phones=[PHONES[1]])
    await scanned(sessions, clock)
    (candidate,) = await pairs(town)
    answer = await town.post(
        f"/v1/duplicates/{candidate['id']}/merge", json={"survivor_id": third["id"]}
    )
    assert answer.status_code == 201, answer.text
    shown = await town.get(f"/v1/residents/{pair['listed']}")
    assert shown.json()["survivor_id"] == third["id"]
    refused = await town.post(f"/v1/merges/{first['id']}/undo")
    assert refused.status_code == 404
    assert (await town.post(f"/v1/merges/{answer.json()['id']}/undo")).status_code == 200
    assert (await town.post(f"/v1/merges/{first['id']}/undo")).status_code == 200
    assert {pair["listed"], pair["twice"], third["id"]} <= {
        one["id"] for one in await everybody(town)
    }


async def test_erasing_the_survivor_forgets_the_merge(
    pair: dict[str, Any], town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await merged(town, pair)
    answer = await town.post(f"/v1/residents/{pair['listed']}/erase", json={"reason": "本人申请"})
    assert answer.status_code == 204, answer.text
    async with sessions.read() as session:
        for table in ("resident_merge", "duplicate_candidate"):
            assert await session.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608


async def test_a_page_of_pairs_takes_a_constant_number_of_statements(
    pair: dict[str, Any], town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    with QueryLog() as queries:
        await pairs(town)
    one = len(queries)
    for _ in range(3):
        await registered(town, NAME, birth_date=BORN, sex="female", area_code=VILLAGE)
    await scanned(sessions, clock)
    with QueryLog() as queries:
        assert len(await pairs(town)) > 3
    assert len(queries) == one
