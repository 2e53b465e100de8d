"""What one service says is what its neighbours understand: real apps on both sides."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from services.common.access import Role
from tests.contracts.conftest import Town
from tests.residents_api.ledgers import VILLAGE, imported

WOMEN = {
    "all": [
        {"field": "sex", "op": "eq", "value": "female"},
        {"field": "age", "op": "between", "value": [25, 35]},
    ]
}


async def counted(client: httpx.AsyncClient, rule: Any, position: str | None) -> int:
    body = {"rule": rule, "min_position": position} if position else {"rule": rule}
    answer = await client.post("/v1/audiences/count", json=body)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["count"])


async def dwelling_of(town: Town, data: Path) -> dict[str, Any]:
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    await imported(worker, data / "ledger_jinsha.xlsx")
    found: dict[str, Any] = (await worker.get("/v1/dwellings")).json()["items"][0]
    return found


async def test_who_moves_in_is_counted_and_who_moves_out_is_not(town: Town, data: Path) -> None:
    dwelling = await dwelling_of(town, data)
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    officer = town.tagging.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    registered = await worker.post(
        "/v1/residents",
        json={
            "name": "林小满",
            "sex": "female",
            "birth_date": "1996-05-20",
            "population_type": "floating",
        },
    )
    resident = registered.json()["id"]
    before = await counted(officer, WOMEN, registered.headers["position"])
    moved_in = await worker.post(
        "/v1/occupancies",
        json={
            "resident_id": resident,
            "dwelling_id": dwelling["id"],
            "tenure": "tenant",
            "relation_to_head": "non_relative",
            "start_date": "2026-11-01",
        },
    )
    assert moved_in.status_code == 201, moved_in.text
    assert await counted(officer, WOMEN, moved_in.headers["position"]) == before + 1
    outsider = town.tagging.as_role(Role.COMMUNITY_WORKER, "510182104003")
    assert await counted(outsider, WOMEN, moved_in.headers["position"]) == 0
    moved_out = await worker.post(
        f"/v1/occupancies/{moved_in.json()['id']}/end", json={"end_date": "2026-11-20"}
    )
    assert moved_out.status_code == 200, moved_out.text
    assert await counted(officer, WOMEN, moved_out.headers["position"]) == before


async def test_who_dies_is_counted_no_more_and_a_household_that_moves_goes_on_counting(
    town: Town, data: Path
) -> None:
    await dwelling_of(town, data)
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    officer = town.tagging.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    everybody = {"area": VILLAGE}
    dwellings = (await worker.get("/v1/dwellings", params={"page_size": 200})).json()["items"]
    households = [
        (await worker.get(f"/v1/dwellings/{one['id']}/household")).json() for one in dwellings
    ]
    mover = next(one for one in households if one["head"] and len(one["members"]) > 1)
    empty = await worker.post(
        "/v1/dwellings", json={"division_code": VILLAGE, "building": "99", "room": "1"}
    )
    before = await counted(officer, everybody, empty.headers.get("position"))
    moved = await worker.post(
        f"/v1/dwellings/{mover['dwelling_id']}/move-household",
        json={"dwelling_id": empty.json()["id"], "date": "2026-11-20"},
    )
    assert moved.status_code == 201, moved.text
    assert await counted(officer, everybody, moved.headers["position"]) == before
    head = mover["head"]["resident_id"]
    died = await worker.post(f"/v1/residents/{head}/deceased", json={"date": "2026-11-21"})
    assert died.status_code == 200, died.text
    assert await counted(officer, everybody, died.headers["position"]) == before - 1
    back = await worker.post(f"/v1/residents/{head}/reactivate")
    home = await worker.post(
        "/v1/occupancies",
        json={
            "resident_id": head,
            "dwelling_id": empty.json()["id"],
            "tenure": "owner",
            "relation_to_head": "head",
            "start_date": "2026-11-22",
        },
    )
    assert (back.status_code, home.status_code) == (200, 201), home.text
    assert await counted(officer, everybody, home.headers["position"]) == before


async def test_labels_of_a_ledger_become_assignments(town: Town, data: Path) -> None:
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    job = await imported(worker, data / "ledger_jinsha.xlsx")
    officer = town.tagging.as_role(Role.TOWN_OFFICER, "510182104")
    volunteers = await counted(officer, {"tag": "volunteer"}, job["position"])
    assert volunteers > 0
    everybody = await counted(officer, {"area": VILLAGE}, job["position"])
    assert volunteers < everybody == 208


async def test_a_report_stands_in_a_known_area_and_its_answer_reaches_the_inbox(
    town: Town, data: Path
) -> None:
    await dwelling_of(town, data)
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    resident = UUID((await worker.get("/v1/residents")).json()["items"][0]["id"])
    compounds = (await worker.get("/v1/compounds")).json()["items"]
    compound = next(row for row in compounds if row["name"] == "金沙小区")
    citizen = town.reports.as_role(Role.RESIDENT, VILLAGE, resident_id=resident)

    async def reported() -> httpx.Response:
        return await citizen.post(
            "/v1/reports",
            data={
                "category": "community_affairs",
                "text": "路灯不亮",
                "area": compound["id"],
            },
        )

    async with asyncio.timeout(10):
        while (answer := await reported()).status_code == 422:
            await asyncio.sleep(0.05)  # the compound is on its way by the feed
    assert answer.status_code == 201, answer.text
    report = answer.json()["id"]
    handler = town.reports.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    replied = await handler.post(f"/v1/reports/{report}/replies", json={"text": "已派人维修"})
    assert replied.status_code == 201, replied.text
    inbox = town.tagging.as_role(Role.RESIDENT, VILLAGE, resident_id=resident)
    async with asyncio.timeout(10):
        while not (items := (await inbox.get("/v1/me/messages")).json()["items"]):
            await asyncio.sleep(0.05)
    assert [(i["subject_type"], i["subject_id"]) for i in items] == [("report", report)]


async def test_no_event_holds_a_name_a_number_or_a_phone(town: Town, data: Path) -> None:
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    await imported(worker, data / "ledger_jinsha.xlsx")
    feed = town.register.as_service()
    head = (await feed.get("/internal/snapshot")).json()["position"]
    start = head.partition(".")[0] + ".0"
    events = (await feed.get("/internal/feed", params={"after": start})).text
    assert "volunteer" in events or "志愿者" in events
    for personal in ("邹琴秀", "519902200209082710", "13858202938", "+8613858202938"):
        assert personal not in events
