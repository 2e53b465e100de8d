"""Where a ledger says that somebody lives who is known elsewhere: confirmed or not, by others."""

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import asked_to_move_in, home, moved_in, moved_out, occupancies
from tests.residents_api.ledgers import all_items, codes, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
    registered,
)

TODAY = date(2026, 11, 23)
WHO = number("1990-05-01", 2)
LEDGER = [person("张三", WHO, room="8", start_date="2026-10-01")]


@pytest.fixture
def here(register: App) -> httpx.AsyncClient:
    """Where the person is known."""
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def there(register: App) -> httpx.AsyncClient:
    """Whose ledger says that they live there."""
    return register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)


@pytest.fixture
async def pending(
    divisions: None, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> dict[str, Any]:
    await succeeded(here, person("张三", WHO, room="101"))
    job = await succeeded(there, *LEDGER, village=NEXT_VILLAGE)
    assert list((await codes(there, job)).values()) == [["resident.elsewhere"]]
    (only,) = await _worklist(there)
    return only


async def _worklist(client: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    params = {"state": "pending", **params}
    return [item async for item in all_items(client, "/v1/occupancies", **params)]


async def _act(
    client: httpx.AsyncClient, occupancy: dict[str, Any], act: str, **body: Any
) -> httpx.Response:
    return await client.post(f"/v1/occupancies/{occupancy['id']}/{act}", json=body)


async def test_both_sides_see_what_waits(
    register: App, pending: dict[str, Any], here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    assert pending["state"] == "pending"
    assert await _worklist(here) == [pending] == await _worklist(there)
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    assert await _worklist(town) == [pending]
    assert await _worklist(town, area=NEXT_VILLAGE) == [pending]
    assert await _worklist(register.as_role(Role.TOWN_OFFICER, "510182001")) == []
    refused = await here.get("/v1/occupancies", params={"state": "pending", "area": NEXT_VILLAGE})
    assert refusal(refused) == (403, "area.forbidden")
    # Where they live stays where it was.
    (who,) = await found(here, name="张三")
    assert await found(there, name="张三") == []
    assert {one["state"] for one in await occupancies(here, who["id"])} == {"pending", "approved"}


async def test_who_knows_the_person_confirms_it(
    register: App, pending: dict[str, Any], here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    assert refusal(await _act(there, pending, "approve")) == (403, "area.forbidden")
    grid = register.as_role(Role.GRID_WORKER, VILLAGE)
    assert refusal(await _act(grid, pending, "approve")) == (403, "role.forbidden")
    start = await position(register)
    answer = await _act(here, pending, "approve")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {**pending, "state": "approved"}
    (told,) = await states(register, start)
    assert {place["division_code"] for place in told["places"]} == {VILLAGE, NEXT_VILLAGE}
    assert [one["id"] for one in await found(there, name="张三")] == [pending["resident_id"]]
    for act, body in (("approve", {}), ("reject", {"reason": "x"})):
        assert refusal(await _act(here, pending, act, **body)) == (409, "occupancy.not_pending")
    assert await _worklist(here) == []


async def test_what_was_rejected_is_over_and_no_ledger_brings_it_back(
    register: App, pending: dict[str, Any], here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    assert fault(await _act(here, pending, "reject"))[0] == "/reason"
    start = await position(register)
    answer = await _act(here, pending, "reject", reason="本人确认未迁居")
    assert answer.json() == {
        **pending,
        "state": "rejected",
        "rejection_reason": "本人确认未迁居",
        "end_date": "2026-11-23",
    }
    assert await states(register, start) == []
    await succeeded(there, *LEDGER, village=NEXT_VILLAGE)
    assert await _worklist(there) == []
    assert await _worklist(there, state="rejected") == [answer.json()]
    assert await _worklist(there, state="ended") == []
    # They may move there all the same, later.
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    moved = await moved_in(town, pending["resident_id"], pending["dwelling_id"])
    assert moved["state"] == "approved"


async def test_neither_side_sees_what_is_of_others(
    register: App, pending: dict[str, Any], there: httpx.AsyncClient
) -> None:
    outside = register.as_role(Role.COMMUNITY_WORKER, "510182001009")
    nobody = {"id": str(uuid4())}
    for occupancy, client in ((pending, outside), (nobody, there)):
        for act, body in (("approve", {}), ("reject", {"reason": "x"})):
            answer = await _act(client, occupancy, act, **body)
            assert refusal(answer) == (404, "occupancy.not_found")
    assert (await _act(there, pending, "reject", reason="填错了")).status_code == 200


async def test_of_two_reviewers_one_decides(
    pending: dict[str, Any], here: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(
        _act(here, pending, "approve"), _act(here, pending, "reject", reason="x")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_nobody_is_confirmed_in_what_was_demolished_or_after_leaving(
    register: App, pending: dict[str, Any], here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    dwelling = await home(there, room="8")
    building = {
        "village_code": NEXT_VILLAGE,
        "compound_id": dwelling["compound_id"],
        "number": "1",
        "status": "demolished",
    }
    made = await there.post("/v1/buildings", json=building)
    assert made.status_code == 201, made.text
    assert refusal(await _act(here, pending, "approve")) == (409, "building.demolished")
    gone = await here.post(
        f"/v1/residents/{pending['resident_id']}/deceased", json={"date": "2026-11-01"}
    )
    assert gone.status_code == 200, gone.text
    assert refusal(await _act(here, pending, "approve")) == (409, "resident.not_active")


async def test_a_worklist_is_as_many_queries_however_long(
    pending: dict[str, Any], here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    people = [person(f"李{n}", number(sequence=2 * n + 10), room=str(n + 200)) for n in range(5)]
    await succeeded(here, *people)
    await succeeded(there, *people, village=NEXT_VILLAGE)
    with QueryLog() as queries:
        assert len(await _worklist(here)) == 6
    assert len(queries) == 1
    paged = [item async for item in all_items(
        here, "/v1/occupancies", state="pending", page_size=2
    )]  # fmt: skip
    assert len({item["id"] for item in paged}) == len(paged) == 6
    living = await _worklist(here, state="approved", area=VILLAGE)
    assert len(living) == 6


async def test_a_lease_is_kept_told_and_changed(
    register: App, pending: dict[str, Any], here: httpx.AsyncClient
) -> None:
    who = await registered(here, "租客")
    dwelling = await home(here, room="101")
    answer = await asked_to_move_in(
        here, who["id"], dwelling["id"], tenure="tenant", lease_end_date="2026-01-01"
    )
    assert fault(answer) == ("/lease_end_date", "occupancy.lease_ends_before_start")
    start = await position(register)
    moved = await moved_in(
        here, who["id"], dwelling["id"], tenure="tenant", lease_end_date="2027-01-01"
    )
    assert moved["lease_end_date"] == "2027-01-01"
    path = f"/v1/occupancies/{moved['id']}"
    assert refusal(await here.patch(path, json={"tenure": "owner"}))[0] == 428
    stale = await here.patch(path, json={"tenure": "owner"}, headers={"If-Match": '"1"'})
    assert refusal(stale) == (412, "precondition.failed")
    tag = {"If-Match": '"2"'}
    for body, pointer in (
        ({"lease_end_date": "2025-01-01"}, "/lease_end_date"),
        ({"tenure": None}, "/tenure"),
        ({"relation_to_head": None}, "/relation_to_head"),
        ({"start_date": "2026-01-02"}, "/start_date"),
    ):
        assert fault(await here.patch(path, json=body, headers=tag))[0] == pointer
    answer = await here.patch(
        path, json={"lease_end_date": "2028-01-01", "relation_to_head": "non_relative"}, headers=tag
    )
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    same = await here.patch(
        path, json={"lease_end_date": "2028-01-01"}, headers={"If-Match": '"3"'}
    )
    assert same.headers["etag"] == '"3"'
    await here.patch(path, json={"lease_end_date": None}, headers={"If-Match": '"3"'})
    told = await states(register, start)
    assert [state["places"][0]["lease_end_date"] for state in told] == [
        "2027-01-01",
        "2028-01-01",
        None,
    ]
    await moved_out(here, moved["id"], on=TODAY)
    await changed(here, who["id"], occupation="农民")
    ended = await here.patch(path, json={"tenure": "owner"}, headers={"If-Match": "*"})
    assert refusal(ended) == (409, "occupancy.already_ended")
