"""Grids: numbered in their village, renamed, closed, and taken over by others."""

from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.feeds import areas_told, position, snapshot, states
from tests.residents_api.homes import home
from tests.residents_api.ledgers import all_items, everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWN,
    TOWN,
    VILLAGE,
    fault,
    number,
    refusal,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def created(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    answer = await client.post("/v1/grids", json={"village_code": VILLAGE, **values})
    assert answer.status_code == 201, answer.text
    grid: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/grids/{grid['code']}"
    return grid


async def closed(client: httpx.AsyncClient, code: str, **values: Any) -> httpx.Response:
    return await client.post(f"/v1/grids/{code}/close", json={"valid_to": "2026-11-23", **values})


async def test_a_grid_gets_the_next_serial_of_its_village(
    register: App, worker: httpx.AsyncClient
) -> None:
    start = await position(register)
    first = await created(worker, name="第一网格")
    assert first == {
        "code": f"{VILLAGE}001",
        "village_code": VILLAGE,
        "name": "第一网格",
        "valid_to": None,
        "successor_code": None,
    }
    assert (await created(worker, serial=7))["code"] == f"{VILLAGE}007"
    assert (await created(worker))["code"] == f"{VILLAGE}008"
    again = await worker.post("/v1/grids", json={"village_code": VILLAGE, "serial": 7})
    assert refusal(again) == (409, "grid.code_taken")
    told = await areas_told(register, start)
    assert [(a["code"], a["name"], a["village_code"]) for a in told] == [
        (f"{VILLAGE}001", "第一网格", VILLAGE),
        (f"{VILLAGE}007", f"{VILLAGE}007", VILLAGE),
        (f"{VILLAGE}008", f"{VILLAGE}008", VILLAGE),
    ]
    await created(worker, serial=999)
    full = await worker.post("/v1/grids", json={"village_code": VILLAGE})
    assert fault(full) == ("/serial", "grid.no_serial_left")


async def test_grids_of_an_area(register: App, worker: httpx.AsyncClient) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    await created(worker)
    await created(worker)
    await created(town, village_code=NEXT_VILLAGE)

    async def listed(client: httpx.AsyncClient, **params: str) -> list[str]:
        found = all_items(client, "/v1/grids", page_size=1, **params)
        return [item["code"] async for item in found]

    own = [f"{VILLAGE}001", f"{VILLAGE}002"]
    assert await listed(worker) == own
    assert await listed(town) == [f"{NEXT_VILLAGE}001", *own]
    assert await listed(town, area=NEXT_VILLAGE) == [f"{NEXT_VILLAGE}001"]
    one = register.as_role(Role.GRID_WORKER, own[1])
    assert await listed(one) == [own[1]]
    assert (await one.get(f"/v1/grids/{own[1]}")).status_code == 200
    assert refusal(await one.get(f"/v1/grids/{own[0]}")) == (404, "grid.not_found")
    assert refusal(await worker.get(f"/v1/grids/{VILLAGE}555")) == (404, "grid.not_found")
    assert (await worker.get("/v1/grids/1")).status_code == 422


async def test_who_may_make_grids_and_where(register: App) -> None:
    body = {"village_code": NEXT_VILLAGE}
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    for client in (
        worker,
        register.as_role(Role.COMMUNITY_WORKER, f"{NEXT_VILLAGE}001"),
        register.as_role(Role.TOWN_OFFICER, OTHER_TOWN),
    ):
        assert refusal(await client.post("/v1/grids", json=body)) == (403, "area.forbidden")
    for role in (Role.RESIDENT, Role.GRID_WORKER, Role.AUDITOR, Role.ADMIN, Role.CLIENT):
        answer = await register.as_role(role).post("/v1/grids", json=body)
        assert refusal(answer) == (403, "role.forbidden")
    city = register.as_role(Role.CITY_OFFICER)
    unknown = await city.post("/v1/grids", json={"village_code": "510182104999"})
    assert fault(unknown) == ("/village_code", "division.unknown")
    for values, pointer in (
        ({"serial": 0}, "/serial"),
        ({"serial": 1000}, "/serial"),
        ({"serial": 2**70}, "/serial"),
        ({"name": "\x00"}, "/name"),
        ({"village_code": "5"}, "/village_code"),
        ({"why": 1}, "/why"),
    ):
        answer = await city.post("/v1/grids", json={"village_code": VILLAGE, **values})
        assert fault(answer)[0] == pointer, values


async def test_a_grid_is_renamed_by_whoever_read_it(worker: httpx.AsyncClient) -> None:
    path = f"/v1/grids/{(await created(worker))['code']}"
    tag = (await worker.get(path)).headers["etag"]
    body = {"name": "东区网格"}
    assert refusal(await worker.patch(path, json=body))[0] == 428
    renamed = await worker.patch(path, json=body, headers={"If-Match": tag})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "东区网格")
    assert renamed.headers["etag"] != tag
    late = await worker.patch(path, json=body, headers={"If-Match": tag})
    assert refusal(late) == (412, "precondition.failed")


async def test_an_empty_grid_is_closed(register: App, worker: httpx.AsyncClient) -> None:
    code = (await created(worker))["code"]
    answer = await closed(worker, code)
    assert (answer.status_code, answer.json()["valid_to"]) == (200, "2026-11-23")
    assert refusal(await closed(worker, code)) == (409, "grid.ended")
    listed = (await worker.get("/v1/grids")).json()["items"]
    former = (await worker.get("/v1/grids", params={"former": "true"})).json()["items"]
    assert (listed, [item["code"] for item in former]) == ([], [code])
    told = (await snapshot(register))["cn.shequ.residents.area.changed"]
    assert [a["valid_to"] for a in told if a["code"] == code] == ["2026-11-23"]
    await succeeded(worker, person("张三", number(), room="101"))
    (dwelling,) = (await worker.get("/v1/dwellings")).json()["items"]
    tag = (await worker.get(f"/v1/dwellings/{dwelling['id']}")).headers["etag"]
    into = await worker.patch(
        f"/v1/dwellings/{dwelling['id']}", json={"grid_code": code}, headers={"If-Match": tag}
    )
    assert refusal(into) == (409, "grid.ended")


async def test_a_grid_with_people_needs_a_successor(
    register: App, worker: httpx.AsyncClient
) -> None:
    await succeeded(
        worker,
        person("屋主一", number(sequence=1), room="101", grid="1"),
        person("屋主二", number(sequence=3), room="102", grid="2"),
    )
    one, two = f"{VILLAGE}001", f"{VILLAGE}002"
    kept = await registered(register.as_role(Role.GRID_WORKER, one), "无房者")
    assert refusal(await closed(worker, one)) == (409, "grid.not_empty")
    itself = await closed(worker, one, successor_code=one)
    assert fault(itself) == ("/successor_code", "grid.succeeds_itself")
    other = await closed(worker, one, successor_code=f"{NEXT_VILLAGE}001")
    assert fault(other)[1] == "grid.unknown"
    start = await position(register)
    answer = await closed(worker, one, successor_code=two)
    assert (answer.status_code, answer.json()["successor_code"]) == (200, two)
    there = register.as_role(Role.GRID_WORKER, two)
    assert len(await everybody(there)) == 3
    assert await everybody(register.as_role(Role.GRID_WORKER, one)) == []
    assert (await home(worker, room="101"))["grid_code"] == two
    told = {state["id"]: state for state in await states(register, start)}
    assert len(told) == 2
    assert told.pop(kept["id"])["keeper"]["grid_code"] == two
    ((moved,),) = (state["places"] for state in told.values())
    assert (moved["grid_code"], moved["division_code"]) == (two, VILLAGE)


async def test_a_grid_outside_is_none(register: App, worker: httpx.AsyncClient) -> None:
    code = (await created(worker))["code"]
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    assert refusal(await closed(stranger, code)) == (404, "grid.not_found")
    answer = await stranger.patch(
        f"/v1/grids/{code}", json={"name": None}, headers={"If-Match": '"1"'}
    )
    assert refusal(answer) == (404, "grid.not_found")
