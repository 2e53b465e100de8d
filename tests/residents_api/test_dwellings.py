"""Dwellings and buildings: registered, corrected, demolished; and who may."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import asked_to_move_in, home, moved_in, moved_out, occupancies
from tests.residents_api.ledgers import all_items, codes, person, succeeded
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
from tests.residents_api.test_housing import TODAY

pytestmark = pytest.mark.usefixtures("divisions")

POINT = {"longitude": 104.015, "latitude": 30.9288, "coordinate_system": "gcj02"}


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def asked(client: httpx.AsyncClient, path: str, **values: Any) -> httpx.Response:
    return await client.post(f"/v1/{path}", json=values)


async def created(client: httpx.AsyncClient, path: str, **values: Any) -> dict[str, Any]:
    answer = await asked(client, path, **values)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def compound(client: httpx.AsyncClient, name: str = "金沙小区") -> str:
    return (await created(client, "compounds", name=name, village_code=VILLAGE))["id"]


async def grid(client: httpx.AsyncClient, village: str = VILLAGE) -> str:
    return (await created(client, "grids", village_code=village))["code"]


async def patched(client: httpx.AsyncClient, path: str, **values: Any) -> httpx.Response:
    tag = (await client.get(f"/v1/{path}")).headers["etag"]
    return await client.patch(f"/v1/{path}", json=values, headers={"If-Match": tag})


async def deleted(client: httpx.AsyncClient, path: str) -> httpx.Response:
    tag = (await client.get(f"/v1/{path}")).headers["etag"]
    return await client.delete(f"/v1/{path}", headers={"If-Match": tag})


async def test_an_address_is_one_however_it_is_written(worker: httpx.AsyncClient) -> None:
    where = await compound(worker)
    home_ = {"division_code": VILLAGE, "compound_id": where}
    row = await created(
        worker,
        "dwellings",
        **home_,
        building="3栋",
        unit="二单元",
        room="0201室",
        use="let",
        floor_area=89.5,
        coordinates=POINT,
    )
    assert (row["building"], row["unit"], row["room"]) == ("3", "2", "201")
    assert row["address"] == "四川省成都市彭州市九尺镇金沙社区金沙小区3栋2单元201室"
    assert (row["use"], row["floor_area"], row["coordinates"]) == ("let", 89.5, POINT)
    assert row["wgs84"]["longitude"] == pytest.approx(104.0125, abs=1e-3)
    again = await asked(worker, "dwellings", **home_, building="三幢", unit="2", room="201")
    assert refusal(again) == (409, "dwelling.address_taken")
    # A ledger means the same dwelling.
    job = await succeeded(worker, person("屋主", number(), room="201", building="3", unit="2"))
    assert job["dwellings_created"] == 0
    hamlet = await created(worker, "dwellings", division_code=VILLAGE, building="2组", room="15号")
    assert hamlet["address"].endswith("金沙社区2组15号")
    for values, (pointer, code) in (
        ({}, ("/room", "dwelling.missing")),
        ({"compound_id": where, "building": "3"}, ("/room", "dwelling.missing")),
        ({"compound_id": str(uuid4()), "room": "1"}, ("/compound_id", "compound.unknown")),
        ({"room": "1", "grid_code": f"{VILLAGE}009"}, ("/grid_code", "grid.unknown")),
    ):
        answer = await asked(worker, "dwellings", division_code=VILLAGE, **values)
        assert fault(answer) == (pointer, code), values
    for values, pointer in (
        ({"floor_area": 0}, "/floor_area"),
        ({"floor_area": 10**9}, "/floor_area"),
        ({"use": "castle"}, "/use"),
        ({"coordinates": POINT | {"latitude": 80}}, "/coordinates/latitude"),
        ({"room": "\x00"}, "/room"),
        ({"room": "1" * 31}, "/room"),
        ({"address": "x"}, "/address"),
    ):
        answer = await asked(worker, "dwellings", division_code=VILLAGE, **{"room": "1"} | values)
        assert fault(answer)[0] == pointer, values


async def test_a_dwelling_is_filtered_corrected_and_deleted(worker: httpx.AsyncClient) -> None:
    where = {"division_code": VILLAGE, "compound_id": await compound(worker), "building": "1"}
    one = await created(worker, "dwellings", **where, room="101", use="vacant")
    await created(worker, "dwellings", **where | {"building": "2"}, room="102", use="shop")
    vacant = [i async for i in all_items(worker, "/v1/dwellings", use="vacant")]
    assert [item["room"] for item in vacant] == ["101"]
    second = [i async for i in all_items(worker, "/v1/dwellings", building="2")]
    assert [item["room"] for item in second] == ["102"]
    path = f"dwellings/{one['id']}"
    no_tag = await worker.patch(f"/v1/{path}", json={"use": "let"})
    assert refusal(no_tag) == (428, "precondition.required")
    corrected = (await patched(worker, path, building="5栋", unit="1", use=None)).json()
    assert (corrected["building"], corrected["unit"], corrected["room"]) == ("5", "1", "101")
    assert (corrected["use"], corrected["version"]) == (None, 2)
    late = await worker.patch(f"/v1/{path}", json={"use": "let"}, headers={"If-Match": '"1"'})
    assert refusal(late) == (412, "precondition.failed")
    # The old address is free, the new one is not.
    await created(worker, "dwellings", **where, room="101")
    taken = await asked(worker, "dwellings", **where | {"building": "5"}, unit="1", room="101")
    assert refusal(taken) == (409, "dwelling.address_taken")
    lived_in = await patched(worker, path, building="2", unit=None, room="102")
    assert refusal(lived_in) == (409, "dwelling.address_taken")
    who = (await registered(worker))["id"]
    occupancy = await moved_in(worker, who, one["id"])
    await moved_out(worker, occupancy["id"], on=TODAY)
    assert refusal(await deleted(worker, path)) == (409, "dwelling.not_empty")
    other = (await home(worker, room="102"))["id"]
    assert (await deleted(worker, f"dwellings/{other}")).status_code == 204
    assert refusal(await worker.get(f"/v1/dwellings/{other}"))[0] == 404
    await created(worker, "dwellings", **where | {"building": "2"}, room="102")


async def test_who_lives_there_follows_into_another_grid(
    register: App, worker: httpx.AsyncClient
) -> None:
    one, two = await grid(worker), await grid(worker)
    row = await created(worker, "dwellings", division_code=VILLAGE, room="7", grid_code=one)
    who = (await registered(worker))["id"]
    await moved_in(worker, who, row["id"])
    start = await position(register)
    of_one = register.as_role(Role.GRID_WORKER, one)
    path = f"dwellings/{row['id']}"
    # Out of one's own area only by somebody who has both.
    assert refusal(await patched(of_one, path, grid_code=two)) == (403, "area.forbidden")
    assert (await patched(of_one, path, use="let")).status_code == 200
    assert (await patched(worker, path, grid_code=two)).status_code == 200
    assert refusal(await of_one.get(f"/v1/{path}")) == (404, "dwelling.not_found")
    of_two = register.as_role(Role.GRID_WORKER, two)
    assert (await of_two.get(f"/v1/residents/{who}")).status_code == 200
    (told,) = await states(register, start)
    assert (told["version"], told["places"][0]["grid_code"]) == (3, two)
    elsewhere = register.as_role(Role.TOWN_OFFICER, TOWN)
    foreign = await grid(elsewhere, NEXT_VILLAGE)
    assert fault(await patched(elsewhere, path, grid_code=foreign))[1] == "grid.unknown"


async def test_who_may_register_where(register: App, worker: httpx.AsyncClient) -> None:
    own = await grid(worker)
    where = await compound(worker)
    in_grid = register.as_role(Role.GRID_WORKER, own)
    in_compound = register.as_role(Role.GRID_WORKER, where)
    body = {"division_code": VILLAGE, "building": "1"}
    await created(in_grid, "dwellings", **body, room="1", grid_code=own, compound_id=where)
    await created(in_compound, "dwellings", **body, room="2", compound_id=where)
    for client in (in_grid, in_compound, register.as_role(Role.GRID_WORKER, NEXT_VILLAGE)):
        assert refusal(await asked(client, "dwellings", **body, room="3")) == (
            403,
            "area.forbidden",
        )
    for role in (Role.RESIDENT, Role.AUDITOR, Role.ADMIN, Role.CLIENT):
        answer = await asked(register.as_role(role), "dwellings", **body, room="3")
        assert refusal(answer) == (403, "role.forbidden")
    worker_of_compound = register.as_role(Role.COMMUNITY_WORKER, where)
    mine = {"village_code": VILLAGE, "compound_id": where}
    block = await created(worker_of_compound, "buildings", **mine, number="9栋")
    refused = await asked(worker_of_compound, "buildings", village_code=VILLAGE, number="9")
    assert refusal(refused) == (403, "area.forbidden")
    for area, status in ((where, 200), (VILLAGE, 200), (NEXT_VILLAGE, 404), (own, 404)):
        client = register.as_role(Role.COMMUNITY_WORKER, area)
        path = f"/v1/buildings/{block['id']}"
        assert (await client.get(path)).status_code == status, area
        assert (await client.get(f"{path}/units")).status_code == status, area
        listed = (await client.get("/v1/buildings")).json()["items"]
        assert len(listed) == (1 if status == 200 else 0), area


async def test_buildings_and_their_units(worker: httpx.AsyncClient) -> None:
    where = {"village_code": VILLAGE, "compound_id": await compound(worker)}
    block = await created(worker, "buildings", **where, number="3号楼", floors=6)
    assert (block["number"], block["floors"], block["status"]) == ("3", 6, "in_use")
    again = await asked(worker, "buildings", **where, number="3幢")
    assert refusal(again) == (409, "building.number_taken")
    hamlet = {"village_code": VILLAGE, "number": "2组"}
    assert (await created(worker, "buildings", **hamlet))["number"] == "2组"
    assert refusal(await asked(worker, "buildings", **hamlet)) == (409, "building.number_taken")
    path = f"buildings/{block['id']}"
    unit = await created(worker, f"{path}/units", number="1单元", dwellings_per_floor=2)
    assert unit == {
        "building_id": block["id"],
        "number": "1",
        "floors": None,
        "dwellings_per_floor": 2,
        "has_lift": None,
    }
    taken = await asked(worker, f"{path}/units", number="一单元")
    assert refusal(taken) == (409, "building_unit.number_taken")
    changed = await worker.patch(f"/v1/{path}/units/1", json={"has_lift": True})
    assert (changed.json()["has_lift"], changed.json()["dwellings_per_floor"]) == (True, 2)
    for answer in (
        await worker.patch(f"/v1/{path}/units/8", json={}),
        await worker.delete(f"/v1/{path}/units/8"),
    ):
        assert refusal(answer) == (404, "building_unit.not_found")
    await created(worker, f"{path}/units", number="2")
    assert (await worker.delete(f"/v1/{path}/units/2")).status_code == 204
    assert [u["number"] async for u in all_items(worker, f"/v1/{path}/units", page_size=1)] == ["1"]
    await created(
        worker,
        "dwellings",
        division_code=VILLAGE,
        compound_id=where["compound_id"],
        building="3",
        room="101",
    )
    assert refusal(await deleted(worker, path)) == (409, "building.not_empty")
    (lived,) = (await worker.get("/v1/dwellings")).json()["items"]
    await deleted(worker, f"dwellings/{lived['id']}")
    assert (await deleted(worker, path)).status_code == 204
    for values, pointer in (
        ({"number": ""}, "/number"),
        ({"number": "。"}, "/number"),
        ({"floors": 1000}, "/floors"),
        ({"status": "haunted"}, "/status"),
        ({"grid_code": f"{VILLAGE}009"}, "/grid_code"),
    ):
        answer = await asked(worker, "buildings", **{"number": "8", **where, **values})
        assert fault(answer)[0] == pointer, values


async def test_nobody_lives_in_what_was_demolished(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("屋主", number(), room="101"))
    dwelling = await home(worker, room="101")
    block = await created(
        worker,
        "buildings",
        village_code=VILLAGE,
        compound_id=dwelling["compound_id"],
        number=dwelling["building"],
    )
    path = f"buildings/{block['id']}"
    assert refusal(await patched(worker, path, status="demolished")) == (409, "building.inhabited")
    (owner,) = await found(worker, name="屋主")
    (occupancy,) = await occupancies(worker, owner["id"])
    await moved_out(worker, occupancy["id"], on=TODAY)
    demolished = await patched(worker, path, status="demolished")
    assert demolished.json()["status"] == "demolished"
    who = (await registered(worker))["id"]
    refused = await asked_to_move_in(worker, who, dwelling["id"])
    assert refusal(refused) == (409, "building.demolished")
    new = await asked(
        worker,
        "dwellings",
        division_code=VILLAGE,
        compound_id=dwelling["compound_id"],
        building="1栋",
        room="102",
    )
    assert refusal(new) == (409, "building.demolished")
    job = await succeeded(
        worker,
        person("张三", number(sequence=3), room="101"),
        person("李四", number(sequence=5), room="101", building="2"),
    )
    assert (job["residents_created"], job["occupancies_created"]) == (2, 1)
    assert await codes(worker, job) == {2: ["dwelling.demolished"]}
    listed = (await worker.get("/v1/buildings", params={"status": "demolished"})).json()["items"]
    assert [item["id"] for item in listed] == [block["id"]]
    await patched(worker, path, status="in_use")
    await moved_in(worker, who, dwelling["id"])
