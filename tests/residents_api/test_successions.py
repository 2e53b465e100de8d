"""Towns and villages that others succeed: everything in them moves, and the neighbours are told."""

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.models import metadata
from services.residents_api.repository import moves
from services.residents_api.service import succession
from tests.conftest import FixedClock
from tests.houses import App
from tests.residents_api.feeds import areas_told, position, snapshot, states
from tests.residents_api.homes import home
from tests.residents_api.ledgers import (
    all_items,
    counts,
    everybody,
    person,
    succeeded,
    text,
)
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

NEW = f"{TOWN}099"
# Columns that say where something was, or who said it: history, which stays.
_OF_THE_PAST = {
    "division.code",
    "division.parent_code",
    "division_successor.code",
    "division_succession.code",
    "grid.code",
    "grid.village_code",
    "ledger_import.village_code",
}
_AREA_COLUMNS = {"code", "village_code", "division_code", "grid_code", "area_code", "parent_code"}


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker looks often, and moves little at once: so that there are several batches."""
    monkeypatch.setattr(succession, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(moves, "BATCH_DWELLINGS", 2)
    monkeypatch.setattr(moves, "BATCH_PEOPLE", 1)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


async def asked(client: httpx.AsyncClient, code: str, *to: str, **values: Any) -> httpx.Response:
    successors = [{"code": c, "name": "金沙新社区居委会"} for c in to]
    body = {"valid_to": "2026-11-23", "successors": successors, **values}
    return await client.post(f"/v1/divisions/{code}/succeed", json=body)


async def succeed(client: httpx.AsyncClient, code: str, *to: str, **values: Any) -> dict[str, Any]:
    answer = await asked(client, code, *to, **values)
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"]
    async with asyncio.timeout(20):
        while (job := (await client.get(path)).json())["state"] != "succeeded":
            await asyncio.sleep(0.02)
    assert job["finished_at"] is not None
    return job


LEDGER = [
    person("屋主一", number(sequence=1), room="101", grid="1"),
    person("屋主二", number(sequence=3), room="102", grid="2", compound="清泉花园"),
    person("屋主三", number(sequence=5), room="103", grid="1"),
    person("村民一", number(sequence=7), compound="", building="2组", unit="", room="15"),
    person("村民二", number(sequence=9), compound="", building="2组", unit="", room="16", grid="2"),
]


async def settled(town: httpx.AsyncClient, register: App) -> None:
    await succeeded(town, *LEDGER)
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    await registered(worker, "无房者一")
    await registered(register.as_role(Role.GRID_WORKER, f"{VILLAGE}001"), "无房者二")
    await worker.post("/v1/buildings", json={"village_code": VILLAGE, "number": "2组"})


async def left(sessions: Sessions, code: str) -> dict[str, int]:
    """How many rows still say the code, by table and column."""
    found: dict[str, int] = {}
    async with sessions.read() as session:
        for table in metadata.sorted_tables:
            for column in table.columns:
                name = f"{table.name}.{column.name}"
                # Figures are counted anew behind it.
                if table.name.startswith("statistic_") or name in _OF_THE_PAST:
                    continue
                if column.name in _AREA_COLUMNS:
                    said = sa.select(sa.func.count()).where(column.startswith(code))
                    found[name] = await session.scalar(said.select_from(table)) or 0
    assert len(found) >= 6
    return {name: many for name, many in found.items() if many}


async def test_a_village_becomes_another_one(
    register: App, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await settled(town, register)
    before = {item["id"]: item async for item in all_items(town, "/v1/dwellings")}
    start = await position(register)
    job = await succeed(town, VILLAGE, NEW)
    assert (job["dwellings_moved"], job["residents_moved"]) == (5, 7)
    assert await left(sessions, VILLAGE) == {}
    # Old code, new answers.
    former = (await town.get(f"/v1/divisions/{VILLAGE}")).json()
    assert former["valid_to"] == "2026-11-23"
    new = {"code": NEW, "name": "金沙新社区居委会", "level": "village", "parent_code": TOWN}
    assert former["successors"] == [new]
    listed = [i["code"] async for i in all_items(town, "/v1/divisions", parent_code=TOWN)]
    assert VILLAGE not in listed
    assert NEW in listed
    all_ = all_items(town, "/v1/divisions", parent_code=TOWN, former="true")
    assert VILLAGE in [i["code"] async for i in all_]
    assert len(await everybody(town, area=VILLAGE)) == 7
    assert len(await everybody(register.as_role(Role.COMMUNITY_WORKER, NEW))) == 7
    assert await everybody(register.as_role(Role.COMMUNITY_WORKER, VILLAGE)) == []
    # Dwellings are the same, elsewhere.
    async for item in all_items(town, "/v1/dwellings", area=NEW):
        old = before.pop(item["id"])
        assert (item["room"], item["compound_id"]) == (old["room"], old["compound_id"])
        assert item["grid_code"] == (old["grid_code"] and NEW + old["grid_code"][12:])
        assert "九尺镇金沙新社区" in item["address"]
    assert before == {}
    # The neighbours have heard everything, once.
    told = await states(register, start)
    assert len(told) == len({state["id"] for state in told}) == 7
    assert all(VILLAGE not in str(state) for state in told)
    areas = await areas_told(register, start)
    ended = [a for a in areas if a["code"] == VILLAGE]
    assert (ended[-1]["valid_to"], ended[-1]["successors"]) == ("2026-11-23", [NEW])
    ids = {c["name"]: c["id"] async for c in all_items(town, "/v1/compounds", area=NEW)}
    assert {a["village_code"] for a in areas if a["code"] == ids["清泉花园"]} == {NEW}
    again = (await snapshot(register))["cn.shequ.residents.area.changed"]
    assert ended[-1] in again
    # The same ledger, now of the successor, changes nothing.
    (owner,) = await everybody(town, area=ids["清泉花园"])
    tag = (await town.get(f"/v1/residents/{owner['id']}")).headers["etag"]
    path = f"/v1/residents/{owner['id']}"
    await town.patch(path, json={"occupation": "裁缝"}, headers={"If-Match": tag})
    again_job = await succeeded(town, *LEDGER, village=NEW)
    assert counts(again_job) == (0, 0, 5)
    assert again_job["dwellings_created"] == 0
    (block,) = (await town.get("/v1/buildings", params={"area": NEW})).json()["items"]
    assert (block["number"], block["village_code"]) == ("2组", NEW)


async def test_two_villages_become_one(
    register: App, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await settled(town, register)
    await succeeded(
        town,
        person("邻村人", number(sequence=21), room="101", grid="1"),
        person("邻村户", number(sequence=23), compound="", building="2组", unit="", room="15"),
        village=NEXT_VILLAGE,
    )
    job = await succeed(town, NEXT_VILLAGE, VILLAGE)
    assert job["dwellings_moved"] == 2
    assert await left(sessions, NEXT_VILLAGE) == {}
    names = sorted([c["name"] async for c in all_items(town, "/v1/compounds", area=VILLAGE)])
    assert len(names) == 3
    assert names[2].startswith("金沙小区(")
    grids = [g["code"] async for g in all_items(town, "/v1/grids", area=VILLAGE)]
    assert grids == [f"{VILLAGE}001", f"{VILLAGE}002", f"{VILLAGE}003"]
    (old,) = [g async for g in all_items(town, "/v1/grids", area=NEXT_VILLAGE, former="true")
              if g["code"].startswith(NEXT_VILLAGE)]  # fmt: skip
    assert old["successor_code"] == f"{VILLAGE}003"
    # Two houses of the same number stay two, each with those who live there.
    houses = [d async for d in all_items(town, "/v1/dwellings", area=VILLAGE) if d["room"] == "15"]
    assert len(houses) == 2
    for house in houses:
        lived = await town.get(f"/v1/dwellings/{house['id']}/occupancies")
        assert len(lived.json()["items"]) == 1


async def test_a_village_is_split(
    register: App, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await settled(town, register)
    ids = {c["name"]: c["id"] async for c in all_items(town, "/v1/compounds")}
    other = f"{TOWN}098"
    assignments = [
        {"area": ids["清泉花园"], "successor_code": other},
        {"area": f"{VILLAGE}002", "successor_code": other},
    ]
    await succeed(town, VILLAGE, NEW, other, assignments=assignments)
    assert await left(sessions, VILLAGE) == {}
    rooms = {
        code: sorted([d["room"] async for d in all_items(town, "/v1/dwellings", area=code)])
        for code in (NEW, other)
    }
    assert rooms == {NEW: ["101", "103", "15"], other: ["102", "16"]}
    assert (await home(town, room="102"))["grid_code"] == f"{other}001"
    former = (await town.get(f"/v1/divisions/{VILLAGE}")).json()
    assert [s["code"] for s in former["successors"]] == [other, NEW]


async def test_a_town_becomes_a_part_of_another_one(
    register: App, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await settled(town, register)
    await registered(town, "镇上的人")
    refused = await asked(town, TOWN, OTHER_TOWN)
    assert refusal(refused) == (403, "area.forbidden")
    city = register.as_role(Role.CITY_OFFICER)
    villages = [i["code"] async for i in all_items(city, "/v1/divisions", parent_code=TOWN)]
    taken = {i["code"] async for i in all_items(city, "/v1/divisions", parent_code=OTHER_TOWN)}
    merged = min(taken)
    assignments = [{"area": VILLAGE, "successor_code": merged}]
    await succeed(city, TOWN, OTHER_TOWN, assignments=assignments)
    assert await left(sessions, TOWN) == {}
    assert len(await everybody(city, area=merged)) == 7
    assert len(await everybody(city, area=TOWN)) == 8
    now = {i["code"] async for i in all_items(city, "/v1/divisions", parent_code=OTHER_TOWN)}
    assert len(now - taken) == len(villages) - 1
    assert await everybody(town) == []


async def test_what_has_ended_takes_nothing_in(register: App, town: httpx.AsyncClient) -> None:
    await succeed(town, VILLAGE, NEW)
    body: dict[str, Any] = {"village_code": VILLAGE}
    for path, values in (
        ("grids", body),
        ("compounds", body | {"name": "新小区"}),
        ("buildings", body | {"number": "1"}),
        ("dwellings", {"division_code": VILLAGE, "room": "1"}),
    ):
        answer = await town.post(f"/v1/{path}", json=values)
        assert refusal(answer) == (409, "division.ended"), path
    ledger = await town.post(
        "/v1/imports",
        files={"file": ("ledger.csv", text(*LEDGER))},
        data={"village_code": VILLAGE},
    )
    assert refusal(ledger) == (409, "division.ended")
    person_ = {"name": "张三", "birth_date": "1990-05-01", "population_type": "floating"}
    stale = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    for client, values in ((town, {"area_code": f"{VILLAGE}001"}), (stale, {})):
        answer = await client.post("/v1/residents", json=person_ | values)
        assert refusal(answer) == (409, "division.ended")
    for code, to in ((VILLAGE, f"{TOWN}097"), (NEXT_VILLAGE, VILLAGE)):
        assert refusal(await asked(town, code, to)) == (409, "division.ended")


async def test_who_may_and_what_is_nonsense(register: App, town: httpx.AsyncClient) -> None:
    for role in (Role.COMMUNITY_WORKER, Role.GRID_WORKER, Role.ADMIN, Role.CLIENT, Role.RESIDENT):
        answer = await asked(register.as_role(role), VILLAGE, NEW)
        assert refusal(answer) == (403, "role.forbidden")
    for area in (VILLAGE, OTHER_TOWN):
        officer = register.as_role(Role.TOWN_OFFICER, area)
        assert refusal(await asked(officer, VILLAGE, NEW)) == (403, "area.forbidden")
    elsewhere = await asked(town, VILLAGE, f"{OTHER_TOWN}099")
    assert refusal(elsewhere) == (403, "area.forbidden")
    assert refusal(await asked(town, f"{TOWN}777", NEW)) == (404, "division.not_found")
    city = register.as_role(Role.CITY_OFFICER, "51")
    county = await city.post(
        "/v1/divisions/510182/succeed",
        json={"valid_to": "2026-11-23", "successors": [{"code": OTHER_TOWN}]},
    )
    assert fault(county)[1] == "division.not_movable"
    assert fault(await asked(town, VILLAGE, VILLAGE))[1] == "division.no_successor"
    assert fault(await asked(town, VILLAGE, NEW, NEW))[1] == "division.no_successor"
    assert fault(await asked(city, VILLAGE, OTHER_TOWN))[1] == "division.no_successor"
    future = await asked(town, VILLAGE, NEW, valid_to="2026-11-24")
    assert fault(future) == ("/valid_to", "date.in_future")
    nameless = await asked(town, VILLAGE, successors=[{"code": NEW}])
    assert fault(nameless) == ("/successors/0/name", "field.required")
    for assignments, code in (
        ([{"area": f"{VILLAGE}001", "successor_code": NEXT_VILLAGE}], "division.no_successor"),
        ([{"area": f"{VILLAGE}001", "successor_code": NEW}], "division.unknown_part"),
        ([{"area": "x", "successor_code": NEW}], "string_pattern_mismatch"),
    ):
        answer = await asked(town, VILLAGE, NEW, assignments=assignments)
        assert fault(answer)[1] == code
    assert (await town.get(f"/v1/divisions/{NEW}")).status_code == 404


async def test_a_job_whose_worker_died_goes_on(
    register: App, town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    await settled(town, register)
    batch = moves.dwellings_of
    dead = False

    async def dies(*args: Any, **values: Any) -> tuple[int, int]:
        nonlocal dead
        if dead:
            return await batch(*args, **values)
        dead = True
        raise ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "dwellings_of", dies)
        answer = await asked(town, VILLAGE, NEW)
        async with asyncio.timeout(10):
            while not dead:
                await asyncio.sleep(0.02)
    path = answer.headers["location"]
    assert (await town.get(path)).json()["state"] == "running"
    clock.advance(succession.LEASE * 2)
    async with asyncio.timeout(10):
        while (job := (await town.get(path)).json())["state"] != "succeeded":
            await asyncio.sleep(0.02)
    assert job["dwellings_moved"] == 5
    assert await left(sessions, VILLAGE) == {}


async def test_not_while_a_ledger_is_imported(town: httpx.AsyncClient, sessions: Sessions) -> None:
    await succeeded(town, *LEDGER)
    async with sessions.write() as session:
        await session.execute(
            sa.text(
                "UPDATE ledger_import SET state = 'running', lease_until = now() + interval '9 h'"
            )
        )
    assert refusal(await asked(town, VILLAGE, NEW)) == (409, "division.busy")
