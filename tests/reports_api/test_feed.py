"""What neighbours are told of reports, and what the reports know of the register's areas."""

import asyncio
from typing import Any

import httpx
import sqlalchemy as sa

from services.common.access import Role
from services.reports_api.main import create_app
from services.reports_api.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App, Identity, opened
from tests.reports_api.conftest import RESIDENT_ID, form, posted, ready
from tests.reports_api.register import (
    AREAS,
    COMPOUND,
    JINSHA,
    OTHER_VILLAGE,
    Register,
    area,
)

REPORT_CHANGED = "cn.shequ.reports.report.changed"


async def snapshot_of(app: App) -> list[dict[str, Any]]:
    """All reports of all pages."""
    neighbour = app.as_service()
    found: list[dict[str, Any]] = []
    params: dict[str, str] = {}
    while True:
        page = (await neighbour.get("/internal/snapshot", params=params)).json()
        for item in page["items"]:
            assert item["type"] == REPORT_CHANGED
            found += item["data"]["reports"]
        if page["next"] is None:
            return found
        params = {"after": page["next"]}


async def test_every_change_is_an_event_and_says_no_word(
    reports: App, resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    neighbour = reports.as_service()
    start = (await neighbour.get("/internal/snapshot")).json()["position"]
    report = await posted(resident, text="秘密的话", address="秘密的地方")
    url = f"/v1/reports/{report['id']}"
    reply = (await worker.post(f"{url}/replies", json={"text": "秘密的回答"})).json()
    resolved = await worker.post(f"{url}/resolve", json={"text": "秘密的结果"})
    answer = await neighbour.get("/internal/feed", params={"after": start})
    page = answer.json()
    assert f"reports_api.{page['head']}" == resolved.headers["position"]
    assert "秘密" not in answer.text
    assert "account:" not in answer.text
    assert [event["type"] for event in page["events"]] == [REPORT_CHANGED] * 3
    assert [event["source"] for event in page["events"]] == ["/reports_api"] * 3
    resolution = resolved.json()["replies"][1]
    first = {"id": reply["id"], "kind": "reply", "at": "2026-11-23T04:00:00Z"}
    last = {"id": resolution["id"], "kind": "resolution", "at": "2026-11-23T04:00:00Z"}

    def state(version: int, status: str, *answers: dict[str, str]) -> dict[str, Any]:
        return {
            "id": report["id"],
            "version": version,
            "resident_id": str(RESIDENT_ID),
            "status": status,
            "answers": list(answers),
        }

    assert [event["data"] for event in page["events"]] == [
        {"reports": [state(1, "received")]},
        {"reports": [state(2, "in_progress", first)]},
        {"reports": [state(3, "resolved", first, last)]},
    ]
    assert await snapshot_of(reports) == [state(3, "resolved", first, last)]


async def test_a_refused_act_says_nothing(
    reports: App, resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    await worker.post(f"{url}/resolve", json={"text": "已修好"})
    refused = await worker.post(f"{url}/resolve", json={"text": "已修好"})
    assert "position" not in refused.headers
    async with reports.state["sessions"].read() as session:
        assert await session.scalar(sa.text("SELECT count(*) FROM outbox")) == 2


async def test_a_snapshot_has_pages(reports: App, worker: httpx.AsyncClient) -> None:
    assert await snapshot_of(reports) == []
    await posted(worker)
    async with reports.state["sessions"].write() as session:
        await session.execute(
            sa.text(
                "INSERT INTO report (id, area, division_code, category, text, status, reporter,"
                " version, created_at) SELECT uuidv7(), division_code, division_code, category,"
                " text, status, reporter, 1, created_at FROM report, generate_series(1, 2500)"
            )
        )
    found = await snapshot_of(reports)
    assert len({report["id"] for report in found}) == len(found) == 2501
    assert {report["resident_id"] for report in found} == {None}
    answer = await reports.as_service().get("/internal/snapshot", params={"after": "x"})
    assert answer.status_code == 422


async def test_the_feed_is_for_neighbours(reports: App, resident: httpx.AsyncClient) -> None:
    for path in ("/internal/feed?after=0000000000000000.0", "/internal/snapshot"):
        assert (await reports.client().get(path)).status_code == 401
        assert (await resident.get(path)).status_code == 401


async def test_areas_follow_the_register(
    reports: App, resident: httpx.AsyncClient, register: Register
) -> None:
    new, compound = "510182104077", "0197a000-0000-7000-8000-000000000077"
    for said in (new, compound):
        answer = await resident.post("/v1/reports", data=form(area=said))
        assert answer.json()["errors"][0]["code"] == "area.unknown"
    await _followed(
        reports,
        await register.state(area("division", new, new), area("compound", compound, JINSHA)),
    )
    assert (await posted(resident, area=new))["area"] == new
    # Stated twice in one page, and elsewhere than before: the last statement stands.
    await register.state(area("compound", compound, OTHER_VILLAGE))
    await _followed(reports, await register.state(area("compound", compound, new)))
    report = await posted(resident, area=compound)
    there = reports.as_role(Role.COMMUNITY_WORKER, new)
    assert (await there.get(f"/v1/reports/{report['id']}")).status_code == 200
    listed = await there.get("/v1/reports", params={"area": compound})
    assert [item["id"] for item in listed.json()["items"]] == [report["id"]]


async def _followed(reports: App, position: str) -> None:
    """Wait until the projection has got to a position of the register."""
    (follower,) = reports.state["followers"]
    wanted = position.removeprefix("residents_api.")
    async with asyncio.timeout(20):
        while True:
            async with reports.state["sessions"].read() as session:
                at = await follower.cursor(session)
            if at is not None and str(at) == wanted:
                return
            await asyncio.sleep(0.01)


async def test_an_area_that_the_register_forgot_is_unknown_after_a_snapshot(
    reports: App, resident: httpx.AsyncClient, register: Register, neighbour: App
) -> None:
    kept = await posted(resident, area=OTHER_VILLAGE)
    register.areas = [one for one in AREAS if one["code"] != OTHER_VILLAGE]
    async with neighbour.state["sessions"].write() as session:
        await session.execute(sa.text("UPDATE feed_head SET epoch = 'ffffffffffffffff'"))
    await _followed(reports, "residents_api.ffffffffffffffff.0")
    answer = await resident.post("/v1/reports", data=form(area=OTHER_VILLAGE))
    assert answer.json()["errors"][0]["code"] == "area.unknown"
    assert (await posted(resident, area=JINSHA))["area"] == JINSHA
    assert (await resident.get(f"/v1/reports/{kept['id']}")).status_code == 200


def _nobody(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there")


async def test_without_the_register_reports_are_read_and_none_is_called_unknown(
    settings: Settings, identity: Identity, clock: FixedClock, register: Register, db: Any
) -> None:
    def app(transport: httpx.AsyncBaseTransport) -> Any:
        transports = {"gateway": identity.transport, "residents_api": transport}
        return create_app(settings, clock=clock, transports=transports)

    async with opened(app(httpx.MockTransport(_nobody)), identity) as alone:
        client = alone.as_role(Role.RESIDENT, str(COMPOUND))
        readiness = await alone.client().get("/readyz")
        assert readiness.status_code == 503
        assert readiness.json()["checks"] == {"database": True, "feed:residents_api": False}
        assert (await client.get("/v1/reports")).json()["items"] == []
        answer = await client.post("/v1/reports", data=form())
        assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")

    async with (
        opened(register.app(db, identity), identity) as neighbour,
        opened(app(neighbour.transport), identity) as together,
    ):
        await ready(together)

    # Once read, the areas stay: the register may be away while residents report.
    async with opened(app(httpx.MockTransport(_nobody)), identity) as alone:
        client = alone.as_role(Role.RESIDENT, str(COMPOUND))
        report = await posted(client)
        assert (await client.get(f"/v1/reports/{report['id']}")).status_code == 200
        answer = await client.post("/v1/reports", data=form(area="510182104999"))
        assert answer.json()["errors"][0]["code"] == "area.unknown"


async def test_the_contract(reports: App) -> None:
    document = reports.app.openapi()
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert set(operations) == {
        "create_report",
        "list_reports",
        "read_report",
        "reply_to_report",
        "resolve_report",
        "read_report_photo",
        "read_report_statistics",
        "list_report_categories",
    }
    body = operations["create_report"]["requestBody"]["content"]
    assert body == {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/ReportSent"}}}
    sent = document["components"]["schemas"]["ReportSent"]
    assert sent["properties"]["photos"]["items"] == {"type": "string", "format": "binary"}
    assert sent["required"] == ["category", "text"]
    assert "image/jpeg" in operations["read_report_photo"]["responses"]["200"]["content"]
    for operation in operations.values():
        assert {"401", "403", "422", "503"} <= set(operation["responses"])
    assert "409" in operations["resolve_report"]["responses"]
    enums = {"ReportCategory", "ReportStatus", "ReplyKind", "CoordinateSystem"}
    assert enums <= set(document["components"]["schemas"])
