"""Lists and statistics: who sees what, page by page, in a constant number of statements."""

from datetime import timedelta
from typing import Any

import httpx

from services.common.access import Role
from services.common.pagination import token_for
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.reports_api.conftest import RESIDENT_ID, posted
from tests.reports_api.photographs import jpeg
from tests.reports_api.register import (
    COMPOUND,
    GRID,
    JINSHA,
    OTHER_COMPOUND,
    OTHER_VILLAGE,
    TOWN,
)

WHERE = {
    "village": JINSHA,
    "grid": GRID,
    "compound": str(COMPOUND),
    "town": TOWN,
    "city": "510182",
    "other village": OTHER_VILLAGE,
    "other compound": str(OTHER_COMPOUND),
}


async def filed_everywhere(client: httpx.AsyncClient) -> dict[str, str]:
    """One report in each kind of place, by id."""
    return {(await posted(client, area=area))["id"]: name for name, area in WHERE.items()}


async def seen(
    client: httpx.AsyncClient, names: dict[str, str], **params: str
) -> set[str] | tuple[int, str]:
    answer = await client.get("/v1/reports", params=params)
    if answer.status_code != 200:
        return answer.status_code, answer.json()["code"]
    assert answer.json()["next_page_token"] is None
    return {names[item["id"]] for item in answer.json()["items"]}


async def test_everybody_sees_their_areas_and_a_resident_their_own(
    reports: App, resident: httpx.AsyncClient
) -> None:
    names = await filed_everywhere(resident)
    here = {"village", "grid", "compound"}
    there = {"other village", "other compound"}
    forbidden = (403, "area.forbidden")
    for role, own, asked, expected in (
        (Role.COMMUNITY_WORKER, JINSHA, None, here),
        (Role.COMMUNITY_WORKER, JINSHA, JINSHA, here),
        (Role.COMMUNITY_WORKER, JINSHA, GRID, {"grid"}),
        (Role.COMMUNITY_WORKER, JINSHA, str(COMPOUND), {"compound"}),
        (Role.COMMUNITY_WORKER, JINSHA, str(OTHER_COMPOUND), forbidden),
        (Role.COMMUNITY_WORKER, JINSHA, OTHER_VILLAGE, forbidden),
        (Role.COMMUNITY_WORKER, JINSHA, TOWN, forbidden),
        (Role.GRID_WORKER, GRID, None, {"grid"}),
        (Role.GRID_WORKER, GRID, JINSHA, forbidden),
        (Role.GRID_WORKER, str(COMPOUND), str(COMPOUND), {"compound"}),
        (Role.GRID_WORKER, str(COMPOUND), GRID, forbidden),
        (Role.TOWN_OFFICER, TOWN, None, here | there | {"town"}),
        (Role.TOWN_OFFICER, TOWN, OTHER_VILLAGE, there),
        (Role.CITY_OFFICER, "510182", None, set(WHERE)),
        (Role.CITY_OFFICER, "510182", "51", forbidden),
        (Role.CLIENT, OTHER_VILLAGE, None, there),
        (Role.CLIENT, OTHER_VILLAGE, JINSHA, forbidden),
        (Role.RESIDENT, JINSHA, None, set[str]()),
        (Role.AUDITOR, "510182", None, (403, "role.forbidden")),
        (Role.ADMIN, "510182", None, (403, "role.forbidden")),
    ):
        client = reports.as_role(role, own, sub="account:other")
        params = {"area": asked} if asked else {}
        assert await seen(client, names, **params) == expected, (role, own, asked)
        for id, name in names.items():
            status = (await client.get(f"/v1/reports/{id}")).status_code
            if role in {Role.AUDITOR, Role.ADMIN}:
                assert status == 403
            elif asked is None:
                assert (status == 200) == (name in expected), (role, own, name)
                assert status in {200, 404}
    # The resident lives in the compound, reported in many places, and sees all of that.
    assert await seen(resident, names) == set(WHERE)
    assert await seen(resident, names, area=str(COMPOUND)) == {"compound"}
    assert await seen(resident, names, area=OTHER_VILLAGE) == forbidden


async def test_several_areas_add_up(reports: App, resident: httpx.AsyncClient) -> None:
    names = await filed_everywhere(resident)
    client = reports.as_role(Role.GRID_WORKER, GRID, str(OTHER_COMPOUND))
    assert await seen(client, names) == {"grid", "other compound"}
    assert await seen(client, names, area=GRID) == {"grid"}


async def test_a_resident_who_is_an_auditor_too_sees_no_more(
    reports: App, resident: httpx.AsyncClient, identity: Any
) -> None:
    report = await posted(resident)
    both = identity.token(Role.RESIDENT, Role.AUDITOR, areas=(JINSHA,), sub="account:both")
    client = reports.client(both)
    assert (await client.get("/v1/reports")).json()["items"] == []
    assert (await client.get(f"/v1/reports/{report['id']}")).status_code == 404
    assert (await client.get("/v1/reports/statistics")).json()["total"] == 0


async def test_who_reported_is_told_to_those_who_may_read_residents(
    reports: App, resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    assert (await resident.get(url)).json()["resident_id"] == str(RESIDENT_ID)
    assert (await worker.get(url)).json()["resident_id"] == str(RESIDENT_ID)
    partner = reports.as_role(Role.CLIENT, JINSHA, scope="reports.read")
    assert (await partner.get(url)).json()["resident_id"] is None
    listed = (await partner.get("/v1/reports")).json()["items"]
    assert [item["resident_id"] for item in listed] == [None]
    assert "account:resident" not in (await worker.get(url)).text


async def test_pages_are_newest_first_and_complete(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    ids: list[str] = []
    for n in range(7):
        ids.append((await posted(resident))["id"])
        # Some are filed in the same instant: then the id decides.
        clock.advance(timedelta(seconds=n % 2))
    found: list[str] = []
    params: dict[str, Any] = {"page_size": 3}
    sizes: list[int] = []
    while True:
        page = (await worker.get("/v1/reports", params=params)).json()
        found += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        # Meanwhile somebody files another, which belongs before all of these.
        await posted(resident)
        if page["next_page_token"] is None:
            break
        params["page_token"] = page["next_page_token"]
    assert sizes == [3, 3, 1]
    assert found == ids[::-1]
    whole = (await worker.get("/v1/reports", params={"page_size": 10**6})).json()
    assert len(whole["items"]) == 10


async def test_statuses_are_listed_apart(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    ids = [(await posted(resident))["id"] for _ in range(3)]
    await worker.post(f"/v1/reports/{ids[1]}/replies", json={"text": "在处理"})
    await worker.post(f"/v1/reports/{ids[2]}/resolve", json={"text": "已修好"})
    for n, status in enumerate(("received", "in_progress", "resolved")):
        answer = await worker.get("/v1/reports", params={"status": status})
        assert [item["id"] for item in answer.json()["items"]] == [ids[n]]


_ID = "0197a000-0000-7000-8000-000000000001"


async def test_what_cannot_be_asked(worker: httpx.AsyncClient) -> None:
    for params, pointer in (
        ({"status": "lost"}, "/query/status"),
        ({"area": "510182104006001\x00"}, "/query/area"),
        ({"page_size": "0"}, "/query/page_size"),
        ({"page_size": "9" * 30}, "/query/page_size"),
        ({"page_token": "x"}, "/query/page_token"),
        ({"page_token": token_for("/v1/reports?", "2026-11-23", "1")}, "/query/page_token"),
        # A time without a zone is none that this list gave.
        (
            {"page_token": token_for("/v1/reports?", "2026-11-23T04:00:00", _ID)},
            "/query/page_token",
        ),
    ):
        answer = await worker.get("/v1/reports", params=params)
        assert answer.status_code == 422, params
        assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    # Beyond what PostgreSQL is sent, and no 500.
    far = token_for("/v1/reports?", "9999-12-31T23:59:59-23:00", _ID)
    assert (await worker.get("/v1/reports", params={"page_token": far})).status_code == 422


async def test_a_page_takes_three_statements_however_long(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    counts: list[int] = []
    for more in (1, 9):
        for _ in range(more):
            files = [("photos", ("a.jpg", jpeg()))] * 2
            data = {"category": "safety", "text": "井盖松动"}
            report = (await resident.post("/v1/reports", data=data, files=files)).json()
            for _ in range(2):
                await worker.post(f"/v1/reports/{report['id']}/replies", json={"text": "在处理"})
        with QueryLog() as queries:
            page = (await worker.get("/v1/reports")).json()
        assert len(page["items"][0]["photos"]) == len(page["items"][0]["replies"]) == 2
        counts.append(len(_of_reports(queries)))
    # Reports, their replies, their photos.
    assert counts == [3, 3]
    with QueryLog() as queries:
        await worker.get("/v1/reports/statistics", params={"area": JINSHA})
    assert len(_of_reports(queries)) == 1


def _of_reports(queries: QueryLog) -> list[str]:
    """Without those of the feeds, which are read meanwhile."""
    return [
        s
        for s in queries.statements
        if "FROM report" in s or "FROM reply" in s or "FROM photo" in s
    ]


async def test_statistics_without_reports(worker: httpx.AsyncClient) -> None:
    answer = await worker.get("/v1/reports/statistics", params={"area": JINSHA})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "area": JINSHA,
            "total": 0,
            "answered": 0,
            "resolved": 0,
            "answer_rate": None,
            "by_category": [],
        },
    )


async def test_statistics(
    reports: App, resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    filed = [
        await posted(resident, category=category, area=area)
        for category, area in (
            ("environment", JINSHA),
            ("city_management", str(COMPOUND)),
            ("city_management", JINSHA),
            ("city_management", GRID),
            ("safety", OTHER_VILLAGE),
        )
    ]
    await worker.post(f"/v1/reports/{filed[1]['id']}/replies", json={"text": "在处理"})
    await worker.post(f"/v1/reports/{filed[1]['id']}/replies", json={"text": "还在处理"})
    await worker.post(f"/v1/reports/{filed[2]['id']}/resolve", json={"text": "已修好"})
    answer = await worker.get("/v1/reports/statistics")
    assert answer.json() == {
        "area": None,
        "total": 4,
        "answered": 2,
        "resolved": 1,
        "answer_rate": 0.5,
        "by_category": [
            {"category": "city_management", "total": 3, "answered": 2, "resolved": 1},
            {"category": "environment", "total": 1, "answered": 0, "resolved": 0},
        ],
    }
    compound = await worker.get("/v1/reports/statistics", params={"area": str(COMPOUND)})
    assert (compound.json()["area"], compound.json()["answer_rate"]) == (str(COMPOUND), 1.0)
    town = reports.as_role(Role.TOWN_OFFICER, TOWN)
    assert (await town.get("/v1/reports/statistics")).json()["total"] == 5
    # A resident counts what they reported themselves.
    other = reports.as_role(Role.RESIDENT, JINSHA, sub="account:other")
    assert (await other.get("/v1/reports/statistics")).json()["total"] == 0
    assert (await resident.get("/v1/reports/statistics")).json()["total"] == 5
    outside = await worker.get("/v1/reports/statistics", params={"area": OTHER_VILLAGE})
    assert (outside.status_code, outside.json()["code"]) == (403, "area.forbidden")
    for role in (Role.AUDITOR, Role.ADMIN):
        refused = await reports.as_role(role).get("/v1/reports/statistics")
        assert (refused.status_code, refused.json()["code"]) == (403, "role.forbidden")
