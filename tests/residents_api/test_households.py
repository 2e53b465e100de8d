"""Households: who lives together, and moving as one."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import asked_to_move_in, dwelling_of, home, moved_in, occupancies
from tests.residents_api.ledgers import person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    number,
    refusal,
    registered,
)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
async def rooms(divisions: None, worker: httpx.AsyncClient) -> tuple[str, str]:
    """A household of three with a lodger, and an empty dwelling with nobody but a lodger."""
    await succeeded(
        worker,
        person("张大山", number(sequence=1), room="101", relation_to_head="户主", tenure="自有",
               start_date="2020-01-01"),
        person("李秀英", number(sequence=2), room="101", relation_to_head="配偶", start_date="2020-01-01"),
        person("张小山", number("2015-05-01", 3), room="101", relation_to_head="子"),
        person("王租客", number(sequence=5), room="101", relation_to_head="租客", tenure="租住"),
        person("赵房客", number(sequence=7), room="102", relation_to_head="租客"),
    )  # fmt: skip
    return (
        await dwelling_of(worker, room="101", area=VILLAGE),
        await dwelling_of(worker, room="102", area=VILLAGE),
    )


async def _household(client: httpx.AsyncClient, dwelling: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/dwellings/{dwelling}/household")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def _move(client: httpx.AsyncClient, dwelling: str, to: str, **values: Any) -> httpx.Response:
    body = {"dwelling_id": to, "date": "2026-11-20", **values}
    return await client.post(f"/v1/dwellings/{dwelling}/move-household", json=body)


def _relations(household: dict[str, Any]) -> list[str]:
    return sorted(str(member["relation_to_head"]) for member in household["members"])


async def test_a_household_has_a_head_and_no_strangers(
    worker: httpx.AsyncClient, rooms: tuple[str, str]
) -> None:
    with QueryLog() as queries:
        shown = await _household(worker, rooms[0])
    assert len(queries) == 2
    assert shown["head"]["name"] == "张**"
    assert _relations(shown) == ["head", "son", "spouse"]
    assert [one["name"] for one in shown["lodgers"]] == ["王**"]
    assert shown["faults"] == []
    empty = await _household(worker, rooms[1])
    assert (empty["head"], empty["members"], empty["faults"]) == (None, [], [])
    assert len(empty["lodgers"]) == 1


async def test_a_household_has_one_head(worker: httpx.AsyncClient, rooms: tuple[str, str]) -> None:
    other = await registered(worker, "周五")
    answer = await asked_to_move_in(worker, other["id"], rooms[0], relation_to_head="head")
    assert refusal(answer) == (409, "household.two_heads")
    moved = await moved_in(worker, other["id"], rooms[0], relation_to_head="other_relative")
    tag = {"If-Match": '"2"'}
    path = f"/v1/occupancies/{moved['id']}"
    answer = await worker.patch(path, json={"relation_to_head": "head"}, headers=tag)
    assert refusal(answer) == (409, "household.two_heads")
    head = (await _household(worker, rooms[0]))["head"]
    answer = await worker.patch(
        f"/v1/occupancies/{head['occupancy_id']}",
        json={"relation_to_head": "sibling"},
        headers={"If-Match": "*"},
    )
    assert answer.status_code == 200, answer.text
    shown = await _household(worker, rooms[0])
    assert (shown["head"], shown["faults"]) == (None, ["household.without_head"])
    answer = await worker.patch(path, json={"relation_to_head": "head"}, headers=tag)
    assert answer.status_code == 200, answer.text
    assert (await _household(worker, rooms[0]))["head"]["resident_id"] == other["id"]


async def test_what_a_ledger_says_of_two_heads_is_shown(
    worker: httpx.AsyncClient, rooms: tuple[str, str]
) -> None:
    await succeeded(worker, person("第二户主", number(sequence=21), relation_to_head="户主"))
    shown = await _household(worker, rooms[0])
    assert (shown["head"], shown["faults"]) == (None, ["household.two_heads"])
    assert refusal(await _move(worker, *rooms)) == (409, "household.two_heads")


async def test_a_household_moves_as_one(
    register: App, worker: httpx.AsyncClient, rooms: tuple[str, str]
) -> None:
    before = await _household(worker, rooms[0])
    start = await position(register)
    answer = await _move(worker, *rooms, tenure="tenant", lease_end_date="2027-11-20")
    assert answer.status_code == 201, answer.text
    items = answer.json()["items"]
    assert {
        (i["tenure"], i["start_date"], i["lease_end_date"], i["dwelling_id"]) for i in items
    } == {("tenant", "2026-11-20", "2027-11-20", rooms[1])}
    left = await _household(worker, rooms[0])
    assert (left["members"], len(left["lodgers"])) == ([], 1)
    after = await _household(worker, rooms[1])
    assert after["head"]["resident_id"] == before["head"]["resident_id"]
    assert _relations(after) == ["head", "son", "spouse"]
    assert len(after["lodgers"]) == 1
    first, second = await occupancies(worker, before["head"]["resident_id"])
    assert (first["end_date"], first["state"]) == ("2026-11-20", "ended")
    assert (second["end_date"], second["state"]) == (None, "approved")
    told = await states(register, start)
    assert [[place["dwelling_id"] for place in state["places"]] for state in told] == [
        [rooms[1]]
    ] * 3
    assert {state["version"] for state in told} == {2}
    again = await _move(worker, *rooms)
    assert refusal(again) == (409, "household.without_head")


async def test_some_move_with_the_head(worker: httpx.AsyncClient, rooms: tuple[str, str]) -> None:
    members = {m["relation_to_head"]: m for m in (await _household(worker, rooms[0]))["members"]}
    son, head = members["son"]["resident_id"], members["head"]["resident_id"]
    answer = await _move(worker, *rooms, resident_ids=[son])
    assert refusal(answer) == (409, "household.without_head")
    answer = await _move(worker, *rooms, resident_ids=[son, head, son])
    assert len(answer.json()["items"]) == 2
    shown = await _household(worker, rooms[0])
    assert shown["faults"] == ["household.without_head"]
    answer = await _move(worker, *rooms, resident_ids=[head])
    assert fault(answer) == ("/resident_ids/0", "resident.not_found")


async def test_a_move_that_cannot_be_leaves_everybody_where_they_are(
    register: App, worker: httpx.AsyncClient, rooms: tuple[str, str]
) -> None:
    before = await _household(worker, rooms[0])
    for values, expected in (
        ({"date": "2019-12-31"}, ("/date", "occupancy.ends_before_start")),
        ({"date": "2028-01-01"}, ("/date", "occupancy.starts_too_late")),
        (
            {"lease_end_date": "2026-11-20"},
            ("/lease_end_date", "occupancy.lease_ends_before_start"),
        ),
        ({"resident_ids": [str(uuid4())]}, ("/resident_ids/0", "resident.not_found")),
        ({"resident_ids": []}, ("/resident_ids", "too_short")),
        ({"dwelling_id": rooms[0]}, ("/dwelling_id", "household.same_dwelling")),
    ):
        assert fault(await _move(worker, *rooms, **values)) == expected
    owner = await registered(worker, "周五")
    await moved_in(worker, owner["id"], rooms[1], relation_to_head="head")
    assert refusal(await _move(worker, *rooms)) == (409, "household.two_heads")
    assert refusal(await _move(worker, rooms[0], str(uuid4()))) == (404, "dwelling.not_found")
    assert refusal(await _move(worker, str(uuid4()), rooms[0])) == (404, "dwelling.not_found")
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    await succeeded(town, person("邻村人", number(sequence=31), room="7"), village=NEXT_VILLAGE)
    other = await home(town, room="7")
    assert refusal(await _move(worker, rooms[0], other["id"])) == (404, "dwelling.not_found")
    assert await _household(worker, rooms[0]) == before


async def test_nobody_moves_into_what_was_demolished(
    worker: httpx.AsyncClient, rooms: tuple[str, str]
) -> None:
    empty = await worker.post(
        "/v1/dwellings", json={"division_code": VILLAGE, "building": "7", "room": "1"}
    )
    assert empty.status_code == 201, empty.text
    building = {"village_code": VILLAGE, "number": "7", "status": "demolished"}
    made = await worker.post("/v1/buildings", json=building)
    assert made.status_code == 201, made.text
    answer = await _move(worker, rooms[0], empty.json()["id"])
    assert refusal(answer) == (409, "building.demolished")
    assert len((await _household(worker, rooms[0]))["members"]) == 3


async def test_households_are_of_the_area(register: App, rooms: tuple[str, str]) -> None:
    outside = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    answer = await outside.get(f"/v1/dwellings/{rooms[0]}/household")
    assert refusal(answer) == (404, "dwelling.not_found")
    assert refusal(await _move(outside, *rooms)) == (404, "dwelling.not_found")
