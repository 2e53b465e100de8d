"""Dwellings, and who lives in them: moving in, moving out, and who may."""

import asyncio
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import (
    asked_to_move_in,
    dwelling_of,
    home,
    moved_in,
    moved_out,
    occupancies,
)
from tests.residents_api.ledgers import all_items, everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
)

TODAY = date(2026, 11, 23)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture(autouse=True)
async def _houses(divisions: None, town: httpx.AsyncClient) -> None:
    await succeeded(
        town,
        person("屋主一", number(sequence=901), room="101", grid="1", start_date="2010-01-01"),
        person("屋主二", number(sequence=903), room="102", grid="2", compound="清泉花园"),
        person("村民", number(sequence=905), compound="", building="2组", unit="", room="15"),
    )
    await succeeded(town, person("邻村人", number(sequence=907), grid="1"), village=NEXT_VILLAGE)


async def test_dwellings_are_listed_by_area(register: App, town: httpx.AsyncClient) -> None:
    items = [item async for item in all_items(town, "/v1/dwellings", page_size=1)]
    assert [item["division_code"] for item in items] == [NEXT_VILLAGE, VILLAGE, VILLAGE, VILLAGE]
    garden = await home(town, room="102")
    assert garden.keys() == {
        *("id", "compound_id", "building", "unit", "room", "division_code", "grid_code"),
        *("address", "use", "floor_area", "coordinates", "wgs84", "version"),
    }
    assert garden["address"] == "四川省成都市彭州市九尺镇金沙社区清泉花园1栋1单元102室"
    assert (garden["building"], garden["unit"], garden["room"]) == ("1", "1", "102")
    assert garden["grid_code"] == f"{VILLAGE}002"
    hamlet = await home(town, room="15")
    assert (hamlet["compound_id"], hamlet["building"], hamlet["unit"]) == (None, "2组", None)
    assert hamlet["grid_code"] is None
    assert hamlet["address"].endswith("九尺镇金沙社区2组15号")
    for area, rooms in (
        (TOWN, ["101", "101", "102", "15"]),
        (VILLAGE, ["101", "102", "15"]),
        (f"{VILLAGE}002", ["102"]),
        (garden["compound_id"], ["102"]),
        (NEXT_VILLAGE, ["101"]),
    ):
        of_area = [item async for item in all_items(town, "/v1/dwellings", area=area)]
        assert sorted(item["room"] for item in of_area) == rooms
    assert (await town.get(f"/v1/dwellings/{garden['id']}")).json() == garden
    for area, own in ((f"{VILLAGE}002", 1), (garden["compound_id"], 1), (f"{VILLAGE}001", 0)):
        client = register.as_role(Role.GRID_WORKER, area)
        expected = [200] if own else [404]
        for path in ("", "/occupancies"):
            answer = await client.get(f"/v1/dwellings/{garden['id']}{path}")
            assert [answer.status_code] == expected, (area, path)
    assert refusal(await town.get(f"/v1/dwellings/{uuid4()}")) == (404, "dwelling.not_found")


async def test_who_lives_where_both_ways(worker: httpx.AsyncClient) -> None:
    dwelling = await dwelling_of(worker, room="101", area=VILLAGE)
    (owner,) = await found(worker, name="屋主一")
    tenant = await registered(worker, "租客")
    moved = await moved_in(
        worker, tenant["id"], dwelling, tenure="tenant", relation_to_head="non_relative"
    )
    answer = await worker.get(f"/v1/dwellings/{dwelling}/occupancies")
    assert [item["resident_id"] for item in answer.json()["items"]] == [owner["id"], tenant["id"]]
    assert answer.json()["items"][1] == moved == (await occupancies(worker, tenant["id"]))[0]
    assert moved == {
        "id": moved["id"],
        "resident_id": tenant["id"],
        "dwelling_id": dwelling,
        "tenure": "tenant",
        "relation_to_head": "non_relative",
        "start_date": "2026-01-01",
        "end_date": None,
        "lease_end_date": None,
        "state": "approved",
        "rejection_reason": None,
    }
    (first,) = await occupancies(worker, owner["id"])
    assert (first["start_date"], first["dwelling_id"]) == ("2010-01-01", dwelling)
    pages = [
        item["id"]
        async for item in all_items(worker, f"/v1/dwellings/{dwelling}/occupancies", page_size=1)
    ]
    assert pages == [first["id"], moved["id"]]


async def test_moving_changes_the_version_of_the_person(worker: httpx.AsyncClient) -> None:
    who = await registered(worker)
    dwelling = await dwelling_of(worker, room="101", area=VILLAGE)
    answer = await asked_to_move_in(worker, who["id"], dwelling)
    assert answer.headers["location"] == f"/v1/residents/{who['id']}/occupancies"
    assert "position" in answer.headers
    path = f"/v1/residents/{who['id']}"
    assert (await worker.get(path)).headers["etag"] == '"2"'
    stale = await worker.patch(path, json={"occupation": "x"}, headers={"If-Match": '"1"'})
    assert refusal(stale)[0] == 412
    await moved_out(worker, answer.json()["id"], on=TODAY)
    assert (await worker.get(path)).headers["etag"] == '"3"'


async def test_nobody_lives_twice_in_one_dwelling(
    worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    who = (await registered(worker))["id"]
    dwelling = await dwelling_of(worker, room="101", area=VILLAGE)
    answers = await asyncio.gather(*(asked_to_move_in(worker, who, dwelling) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    refused = await asked_to_move_in(worker, who, dwelling)
    assert refusal(refused) == (409, "occupancy.exists")
    (only,) = await occupancies(worker, who)
    # Leaving on a day to come, they live there until then and cannot move in before.
    await moved_out(worker, only["id"], on=TODAY + timedelta(days=10))
    refused = await asked_to_move_in(worker, who, dwelling, start_date="2026-12-01")
    assert refusal(refused) == (409, "occupancy.exists")
    again = await moved_in(worker, who, dwelling, start_date="2026-12-03")
    assert [item["state"] for item in await occupancies(worker, who)] == ["approved", "approved"]
    await moved_out(worker, again["id"], on=date(2026, 12, 3))
    assert len(await occupancies(worker, who)) == 2


async def test_who_has_left_may_come_back(worker: httpx.AsyncClient) -> None:
    who = (await registered(worker))["id"]
    dwelling = await dwelling_of(worker, room="101", area=VILLAGE)
    first = await moved_in(worker, who, dwelling, start_date="2020-01-01")
    await moved_out(worker, first["id"], on=date(2021, 1, 1))
    second = await moved_in(worker, who, dwelling, start_date="2022-01-01")
    assert [(i["id"], i["state"]) for i in await occupancies(worker, who)] == [
        (first["id"], "ended"),
        (second["id"], "approved"),
    ]


async def test_days_that_cannot_be(worker: httpx.AsyncClient) -> None:
    who = (await registered(worker, birth_date="1990-05-01"))["id"]
    dwelling = await dwelling_of(worker, room="101", area=VILLAGE)
    late = await asked_to_move_in(worker, who, dwelling, start_date="2027-11-25")
    assert fault(late) == ("/start_date", "occupancy.starts_too_late")
    early = await asked_to_move_in(worker, who, dwelling, start_date="1990-04-30")
    assert fault(early) == ("/start_date", "occupancy.starts_before_birth")
    occupancy = await moved_in(worker, who, dwelling, start_date="1990-05-01")
    path = f"/v1/occupancies/{occupancy['id']}/end"
    early = await worker.post(path, json={"end_date": "1990-04-30"})
    assert fault(early) == ("/end_date", "occupancy.ends_before_start")
    for body, pointer in (
        ({}, "/end_date"),
        ({"end_date": None}, "/end_date"),
        ({"end_date": 0}, "/end_date"),
        ({"end_date": "2026-02-29"}, "/end_date"),
        ({"end_date": "20260301"}, "/end_date"),
        ({"end_date": "9999-12-31"}, "/end_date"),
        ({"end_date": "2026-03-01", "why": "x"}, "/why"),
    ):
        assert fault(await worker.post(path, json=body))[0] == pointer, body
    await moved_out(worker, occupancy["id"], on=date(1990, 5, 1))
    again = await worker.post(path, json={"end_date": "2026-01-01"})
    assert refusal(again) == (409, "occupancy.already_ended")
    for values, pointer in (
        ({"start_date": None}, "/start_date"),
        ({"start_date": 0}, "/start_date"),
        ({"start_date": "0001-01-01"}, "/start_date"),
        ({"start_date": "x"}, "/start_date"),
        ({"tenure": "squatter"}, "/tenure"),
        ({"tenure": None}, "/tenure"),
        ({"relation_to_head": 1}, "/relation_to_head"),
        ({"resident_id": "x"}, "/resident_id"),
        ({"dwelling_id": None}, "/dwelling_id"),
        ({"end_date": "2027-01-01"}, "/end_date"),
        ({"state": "pending"}, "/state"),
    ):
        answer = await asked_to_move_in(
            worker, **({"resident_id": who, "dwelling_id": dwelling} | values)
        )
        assert fault(answer)[0] == pointer, values


async def test_of_two_who_end_it_one_is_told(worker: httpx.AsyncClient) -> None:
    who = (await registered(worker))["id"]
    occupancy = await moved_in(worker, who, await dwelling_of(worker, area=VILLAGE, room="101"))
    answers = await asyncio.gather(
        *(
            worker.post(f"/v1/occupancies/{occupancy['id']}/end", json={"end_date": day})
            for day in ("2026-06-01", "2026-07-01", "2026-08-01")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    (kept,) = [answer.json()["end_date"] for answer in answers if answer.status_code == 200]
    assert [item["end_date"] for item in await occupancies(worker, who)] == [kept]


async def test_an_end_to_come_has_not_come(
    register: App, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    who = (await registered(worker))["id"]
    occupancy = await moved_in(worker, who, await dwelling_of(worker, area=VILLAGE, room="101"))
    grid = f"{VILLAGE}001"
    ended = await moved_out(worker, occupancy["id"], on=TODAY + timedelta(days=1))
    assert (ended["state"], ended["end_date"]) == ("approved", "2026-11-24")
    assert who in {i["id"] for i in await everybody(register.as_role(Role.GRID_WORKER, grid))}
    clock.advance(timedelta(hours=11, minutes=59))  # one minute to midnight in the city
    assert who in {i["id"] for i in await everybody(register.as_role(Role.GRID_WORKER, grid))}
    clock.advance(timedelta(minutes=1))
    assert who not in {i["id"] for i in await everybody(register.as_role(Role.GRID_WORKER, grid))}
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    assert [item["state"] for item in await occupancies(worker, who)] == ["ended"]


async def test_moving_to_another_village_changes_who_sees_them(
    register: App, worker: httpx.AsyncClient, town: httpx.AsyncClient
) -> None:
    neighbour = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    (who,) = await found(worker, name="屋主一")
    (old,) = await occupancies(worker, who["id"])
    there = await dwelling_of(town, area=NEXT_VILLAGE)
    # Neither of the two can do it alone: the dwelling is not the one's, the person not the other's.
    assert refusal(await asked_to_move_in(worker, who["id"], there)) == (404, "dwelling.not_found")
    refused = await asked_to_move_in(neighbour, who["id"], there)
    assert refusal(refused) == (404, "resident.not_found")
    new = await moved_in(town, who["id"], there)
    for client in (worker, neighbour):
        assert (await client.get(f"/v1/residents/{who['id']}")).status_code == 200
    not_mine = await worker.post(
        f"/v1/occupancies/{new['id']}/end", json={"end_date": "2026-11-23"}
    )
    assert refusal(not_mine) == (404, "occupancy.not_found")
    await moved_out(worker, old["id"], on=TODAY)
    assert refusal(await worker.get(f"/v1/residents/{who['id']}"))[0] == 404
    assert (await neighbour.get(f"/v1/residents/{who['id']}")).status_code == 200
    # The dwelling's own history stays with its village.
    dwelling = await dwelling_of(worker, area=VILLAGE, room="101")
    items = (await worker.get(f"/v1/dwellings/{dwelling}/occupancies")).json()["items"]
    assert [(i["resident_id"], i["state"]) for i in items] == [(who["id"], "ended")]


async def test_workers_of_a_grid_or_a_compound(register: App, town: httpx.AsyncClient) -> None:
    garden = await home(town, room="102")
    elsewhere = await dwelling_of(town, area=VILLAGE, room="101")
    for area in (garden["grid_code"], garden["compound_id"]):
        client = register.as_role(Role.GRID_WORKER, area)
        # Whom they register they see, and can move into what is theirs.
        who = await registered(client, "新来的")
        assert (await client.get(f"/v1/residents/{who['id']}")).status_code == 200
        occupancy = await moved_in(client, who["id"], garden["id"])
        assert {i["name"] for i in await everybody(client)} >= {"新**", "屋**"}
        refused = await asked_to_move_in(client, who["id"], elsewhere)
        assert refusal(refused) == (404, "dwelling.not_found")
        (owner,) = await found(client, name="屋主二")
        patched = await client.patch(
            f"/v1/residents/{owner['id']}",
            json={"occupation": "裁缝"},
            headers={
                "If-Match": (await client.get(f"/v1/residents/{owner['id']}")).headers["etag"]
            },
        )
        assert patched.status_code == 200
        await moved_out(client, occupancy["id"], on=TODAY)
        assert (await client.get(f"/v1/residents/{who['id']}")).status_code == 200


async def test_unknown_ids(worker: httpx.AsyncClient) -> None:
    who = (await registered(worker))["id"]
    dwelling = await dwelling_of(worker, area=VILLAGE, room="101")
    nobody = str(uuid4())
    assert refusal(await asked_to_move_in(worker, nobody, dwelling)) == (404, "resident.not_found")
    assert refusal(await asked_to_move_in(worker, who, nobody)) == (404, "dwelling.not_found")
    answer = await worker.post(f"/v1/occupancies/{nobody}/end", json={"end_date": "2026-01-01"})
    assert refusal(answer) == (404, "occupancy.not_found")
    for path in ("residents", "dwellings"):
        answer = await worker.get(f"/v1/{path}/{nobody}/occupancies")
        assert refusal(answer)[0] == 404


async def test_every_move_is_told_in_full(register: App, worker: httpx.AsyncClient) -> None:
    start = await position(register)
    who = await registered(worker, id_number=number("1990-05-01", 2), education="junior_secondary")
    garden = await home(worker, room="102")
    one = await moved_in(worker, who["id"], garden["id"], tenure="tenant")
    hamlet = await dwelling_of(worker, area=VILLAGE, room="15")
    two = await moved_in(worker, who["id"], hamlet)
    await moved_out(worker, one["id"], on=TODAY + timedelta(days=1))
    await moved_out(worker, two["id"], on=TODAY)
    told = await states(register, start)
    assert {state["id"] for state in told} == {who["id"]}
    assert [state["version"] for state in told] == [1, 2, 3, 4, 5]
    in_garden: dict[str, Any] = {
        "dwelling_id": garden["id"],
        "division_code": VILLAGE,
        "grid_code": f"{VILLAGE}002",
        "compound_id": garden["compound_id"],
        "tenure": "tenant",
        "start_date": "2026-01-01",
        "end_date": None,
        "lease_end_date": None,
    }
    in_hamlet = in_garden | {
        "dwelling_id": hamlet,
        "grid_code": None,
        "compound_id": None,
        "tenure": "owner",
    }
    leaving = in_garden | {"end_date": "2026-11-24"}
    assert [state["places"] for state in told] == [
        [],
        [in_garden],
        [in_garden, in_hamlet],
        [leaving, in_hamlet],
        [leaving],
    ]


async def test_lists_of_housing_are_as_many_queries_however_long(
    worker: httpx.AsyncClient,
) -> None:
    dwelling = await dwelling_of(worker, area=VILLAGE, room="101")
    for _ in range(5):
        await moved_in(worker, (await registered(worker))["id"], dwelling)
    for path, statements in (
        ("/v1/dwellings", 3),
        (f"/v1/dwellings/{dwelling}/occupancies", 2),
        (f"/v1/residents/{(await registered(worker))['id']}/occupancies", 2),
    ):
        with QueryLog() as queries:
            await worker.get(path)
        assert len(queries) == statements, path
