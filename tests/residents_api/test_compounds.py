"""Compounds: where they are, who looks after them, what neighbours are told."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.domain.coordinates import Point, from_wgs84
from services.residents_api.repository.compounds import count_people
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import areas_told, position, snapshot
from tests.residents_api.homes import home
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

pytestmark = pytest.mark.usefixtures("divisions")

HERE = Point(104.01263, 30.93123)
CONTACTS = [
    {"role": "property_manager", "name": "欧阳物业", "phone": "13900001111"},
    {"role": "committee_chair", "name": "王主任", "phone": None},
]


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def created(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    body = {"name": "金沙小区", "village_code": VILLAGE, **values}
    answer = await client.post("/v1/compounds", json=body)
    assert answer.status_code == 201, answer.text
    compound: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/compounds/{compound['id']}"
    return compound


async def changed(client: httpx.AsyncClient, compound_id: str, **values: Any) -> httpx.Response:
    path = f"/v1/compounds/{compound_id}"
    tag = (await client.get(path)).headers["etag"]
    return await client.patch(path, json=values, headers={"If-Match": tag})


@pytest.mark.parametrize("system", ["wgs84", "gcj02", "bd09", "cgcs2000"])
async def test_coordinates_stay_as_said_and_are_told_in_wgs84(
    register: App, worker: httpx.AsyncClient, system: str
) -> None:
    said = from_wgs84(HERE, system)
    coordinates = {
        "longitude": said.longitude,
        "latitude": said.latitude,
        "coordinate_system": system,
    }
    start = await position(register)
    compound = await created(worker, coordinates=coordinates, risk_level="high")
    assert compound["coordinates"] == coordinates
    assert compound["wgs84"] == {
        "longitude": pytest.approx(HERE.longitude, abs=1e-6),
        "latitude": pytest.approx(HERE.latitude, abs=1e-6),
    }
    (told,) = await areas_told(register, start)
    assert told == {
        "kind": "compound",
        "code": compound["id"],
        "name": "金沙小区",
        "village_code": VILLAGE,
        "longitude": compound["wgs84"]["longitude"],
        "latitude": compound["wgs84"]["latitude"],
        "risk_level": "high",
        "households": None,
        "population": None,
    }
    assert told in (await snapshot(register))["cn.shequ.residents.area.changed"]
    emptied = (await changed(worker, compound["id"], coordinates=None)).json()
    assert (emptied["coordinates"], emptied["wgs84"]) == (None, None)


async def test_contacts_are_masked_sealed_and_revealed_for_a_purpose(
    register: App, worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    start = await position(register)
    compound = await created(worker, contacts=CONTACTS, committee="owners")
    shown = [(c["role"], c["name"], c["phone"]) for c in compound["contacts"]]
    assert shown == [
        ("property_manager", "欧阳**", "139****1111"),
        ("committee_chair", "王**", None),
    ]
    async with sessions.read() as session:
        rows = (await session.execute(sa.text("SELECT * FROM compound_contact"))).all()
    assert "13900001111" not in str(rows) + str([bytes(r.phone or b"") for r in rows])
    told = str(await areas_told(register, start))
    assert "欧阳" not in told
    assert "139" not in told
    path = f"/v1/compounds/{compound['id']}/reveal"
    revealed = await worker.post(path, json={"purpose": "联系物业"})
    assert [(i["name"], i["phone"]) for i in revealed.json()["items"]] == [
        ("欧阳物业", "+8613900001111"),
        ("王主任", None),
    ]
    assert revealed.headers["cache-control"] == "no-store"
    async with sessions.read() as session:
        kept = (await session.execute(sa.text("SELECT * FROM access_record"))).all()
    assert {str(row.resident_id) for row in kept} == {c["id"] for c in compound["contacts"]}
    assert {(row.act, row.purpose, row.outcome) for row in kept} == {
        ("reveal_contact", "联系物业", "granted")
    }
    assert fault(await worker.post(path, json={}))[0] == "/purpose"
    for role in (Role.CLIENT, Role.AUDITOR, Role.RESIDENT):
        answer = await register.as_role(role).post(path, json={"purpose": "联系物业"})
        assert refusal(answer) == (403, "role.forbidden")
    replaced = (await changed(worker, compound["id"], contacts=CONTACTS[1:])).json()
    assert [c["name"] for c in replaced["contacts"]] == ["王**"]
    bad = await changed(worker, compound["id"], contacts=[CONTACTS[0] | {"phone": "123"}])
    assert fault(bad) == ("/contacts/0/phone", "phone.invalid")


async def test_what_is_declared_goes_before_what_is_counted(
    register: App, worker: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    await succeeded(
        worker,
        person("屋主一", number(sequence=1), room="101"),
        person("屋主二", number(sequence=3), room="101"),
        person("屋主三", number(sequence=5), room="102"),
    )
    (summary,) = (await worker.get("/v1/compounds")).json()["items"]
    path = f"/v1/compounds/{summary['id']}"
    counted = (await worker.get(path)).json()
    assert (counted["households"], counted["population"]) == (2, 3)
    declared = (
        await changed(worker, summary["id"], households_declared=40, population_declared=0)
    ).json()
    assert (declared["households"], declared["population"]) == (40, 0)
    assert declared["households_declared"] == 40
    start = await position(register)
    await changed(worker, summary["id"], households_declared=None, population_declared=None)
    (told,) = await areas_told(register, start)
    assert (told["households"], told["population"]) == (2, 3)
    # Nobody tells what has not changed, and a move out is counted the next time.
    start = await position(register)
    (owner,) = [
        item for item in (await worker.get("/v1/residents")).json()["items"] if item["version"] == 1
    ][:1]
    (occupancy,) = (await worker.get(f"/v1/residents/{owner['id']}/occupancies")).json()["items"]
    await worker.post(f"/v1/occupancies/{occupancy['id']}/end", json={"end_date": "2026-11-23"})
    tag = (await worker.get(path)).headers["etag"]
    for _ in range(2):
        async with sessions.write() as session:
            await count_people(session, today=clock.now().date())
    await register.state["publisher"].publish()
    (told,) = await areas_told(register, start)
    assert told["population"] == 2
    assert (await worker.get(path)).headers["etag"] == tag


async def test_of_two_editors_one_is_told(worker: httpx.AsyncClient) -> None:
    path = f"/v1/compounds/{(await created(worker))['id']}"
    tag = (await worker.get(path)).headers["etag"]
    assert refusal(await worker.patch(path, json={"risk_level": "low"}))[0] == 428
    first = await worker.patch(path, json={"risk_level": "low"}, headers={"If-Match": tag})
    assert (first.status_code, first.json()["risk_level"]) == (200, "low")
    second = await worker.patch(path, json={"address": "别处"}, headers={"If-Match": tag})
    assert refusal(second) == (412, "precondition.failed")
    assert (await worker.get(path)).json()["address"] is None


async def test_a_new_name_keeps_the_addresses(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("屋主", number(), room="101"))
    before = await home(worker, room="101")
    renamed = await changed(worker, before["compound_id"], name=" 金沙 花园 ")
    assert renamed.json()["name"] == "金沙花园"
    job = await succeeded(worker, person("屋主", number(), room="101", compound="金沙花园"))
    assert (job["dwellings_created"], job["occupancies_created"]) == (0, 0)
    after = await home(worker, room="101")
    assert after["id"] == before["id"]
    assert "金沙花园1栋1单元101室" in after["address"]
    await created(worker, name="清泉花园")
    taken = await changed(worker, before["compound_id"], name="清泉花园")
    assert refusal(taken) == (409, "compound.name_taken")
    empty = await changed(worker, before["compound_id"], name=None)
    assert fault(empty) == ("/name", "field.required")


async def test_only_an_empty_compound_is_deleted(register: App, worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("屋主", number(), room="101"))
    full = (await home(worker, room="101"))["compound_id"]
    empty = (await created(worker, name="空小区", contacts=CONTACTS))["id"]
    kept = (await created(worker, name="有人小区"))["id"]
    await registered(register.as_role(Role.GRID_WORKER, kept), "新来的")

    async def deleted(compound_id: str) -> httpx.Response:
        path = f"/v1/compounds/{compound_id}"
        tag = (await worker.get(path)).headers["etag"]
        return await worker.delete(path, headers={"If-Match": tag})

    for used in (full, kept):
        assert refusal(await deleted(used)) == (409, "compound.not_empty")
    assert refusal(await worker.delete(f"/v1/compounds/{empty}"))[0] == 428
    assert (await deleted(empty)).status_code == 204
    assert refusal(await worker.get(f"/v1/compounds/{empty}")) == (404, "compound.not_found")


async def test_who_sees_and_who_changes_which_compound(
    register: App, worker: httpx.AsyncClient
) -> None:
    own = (await created(worker))["id"]
    path = f"/v1/compounds/{own}"
    head = {"If-Match": '"1"'}
    for area, sees in ((VILLAGE, True), (TOWN, True), (own, True), (NEXT_VILLAGE, False),
                       (f"{VILLAGE}001", False), (str(uuid4()), False)):  # fmt: skip
        client = register.as_role(Role.COMMUNITY_WORKER, area)
        assert ((await client.get(path)).status_code == 200) is sees, area
        if not sees:
            for answer in (
                await client.patch(path, json={}, headers=head),
                await client.delete(path, headers=head),
                await client.post(f"{path}/reveal", json={"purpose": "联系物业"}),
            ):
                assert refusal(answer) == (404, "compound.not_found")
    for area in (NEXT_VILLAGE, own, f"{VILLAGE}001"):
        client = register.as_role(Role.COMMUNITY_WORKER, area)
        answer = await client.post("/v1/compounds", json={"name": "甲", "village_code": VILLAGE})
        assert refusal(answer) == (403, "area.forbidden"), area
    for role in (Role.RESIDENT, Role.GRID_WORKER, Role.AUDITOR, Role.ADMIN, Role.CLIENT):
        answer = await register.as_role(role).patch(path, json={}, headers=head)
        assert refusal(answer) == (403, "role.forbidden")
    (listed,) = (await register.as_role(Role.RESIDENT, VILLAGE).get("/v1/compounds")).json()[
        "items"
    ]
    assert listed.keys() == {"id", "name", "village_code", "address", "wgs84"}


async def test_nonsense_is_refused(worker: httpx.AsyncClient) -> None:
    point = {"longitude": 104.0, "latitude": 31.0, "coordinate_system": "wgs84"}
    for values, pointer in (
        ({"name": ""}, "/name"),
        ({"name": "x" * 61}, "/name"),
        ({"coordinates": point | {"longitude": 200}}, "/coordinates/longitude"),
        ({"coordinates": point | {"latitude": "NaN"}}, "/coordinates/latitude"),
        ({"coordinates": point | {"coordinate_system": "mars"}}, "/coordinates/coordinate_system"),
        ({"coordinates": {"longitude": 104.0, "latitude": 31.0}}, "/coordinates/coordinate_system"),
        ({"risk_level": "extreme"}, "/risk_level"),
        ({"committee": "friends"}, "/committee"),
        ({"households_declared": -1}, "/households_declared"),
        ({"population_declared": 10**9}, "/population_declared"),
        ({"contacts": [{"role": "king", "name": "王"}]}, "/contacts/0/role"),
        ({"households": 3}, "/households"),
        ({"village_code": "510182104999"}, "/village_code"),
    ):
        answer = await register_post(worker, values)
        expected = (403, "area.forbidden") if "village_code" in values else None
        if expected:
            assert refusal(answer) == expected
        else:
            assert fault(answer)[0] == pointer, values


async def register_post(client: httpx.AsyncClient, values: dict[str, Any]) -> httpx.Response:
    body = {"name": "金沙小区", "village_code": VILLAGE} | values
    return await client.post("/v1/compounds", json=body)


async def test_a_list_is_one_query_however_long(worker: httpx.AsyncClient) -> None:
    for index in range(5):
        await created(worker, name=f"小区{index}")
    with QueryLog() as queries:
        assert len((await worker.get("/v1/compounds")).json()["items"]) == 5
    assert len(queries) == 1
