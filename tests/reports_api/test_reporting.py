"""File a report: what is taken, what is refused, and where it may be."""

import asyncio
from typing import Any

import httpx
import sqlalchemy as sa

from services.common.access import Role
from tests.houses import App
from tests.reports_api.conftest import RESIDENT_ID, form, posted
from tests.reports_api.register import (
    COMPOUND,
    GRID,
    JINSHA,
    OTHER_COMPOUND,
    OTHER_VILLAGE,
    TOWN,
)


async def test_a_report_is_filed_and_read(resident: httpx.AsyncClient) -> None:
    answer = await resident.post(
        "/v1/reports",
        data=form(
            text="  楼下路灯坏了\n晚上看不清路 ",
            address="3 栋门口",
            longitude="103.941",
            latitude="30.99",
            coordinate_system="gcj02",
        ),
    )
    assert answer.status_code == 201
    report = answer.json()
    assert report == {
        "id": report["id"],
        "category": "environment",
        "text": "楼下路灯坏了\n晚上看不清路",
        "area": str(COMPOUND),
        "address": "3 栋门口",
        "longitude": 103.941,
        "latitude": 30.99,
        "coordinate_system": "gcj02",
        "status": "received",
        "resident_id": str(RESIDENT_ID),
        "created_at": "2026-11-23T04:00:00Z",
        "resolved_at": None,
        "replies": [],
        "photos": [],
    }
    assert answer.headers["location"] == f"/v1/reports/{report['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["position"].startswith("reports_api.")
    read = await resident.get(answer.headers["location"])
    assert (read.status_code, read.json()) == (200, report)
    assert read.headers["etag"] == '"1"'


async def test_a_form_without_files_may_be_urlencoded_or_multipart(
    resident: httpx.AsyncClient,
) -> None:
    multipart = [(name, (None, value)) for name, value in form().items()]
    answer = await resident.post("/v1/reports", files=multipart)
    assert answer.status_code == 201
    assert (await resident.post("/v1/reports", data=form())).status_code == 201


BAD_FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"category": "noise"}, "/category", "enum"),
    ({"category": ""}, "/category", "missing"),
    ({"text": " \n "}, "/text", "string_too_short"),
    ({"text": "字" * 4001}, "/text", "string_too_long"),
    ({"text": "a\x00b"}, "/text", "text.control_character"),
    ({"address": "第一行\x07"}, "/address", "text.control_character"),
    ({"address": "长" * 201}, "/address", "string_too_long"),
    ({"area": "5"}, "/area", "area.malformed"),
    ({"area": "510182104006\x00"}, "/area", "area.malformed"),
    ({"area": "510182104999"}, "/area", "area.unknown"),
    ({"area": "510182104006999"}, "/area", "area.unknown"),
    ({"area": "0197a000-0000-7000-8000-0000000000ff"}, "/area", "area.unknown"),
    ({"status": "resolved"}, "/status", "extra_forbidden"),
    ({"photos": "not a file"}, "/photos/0", "value_error"),
]


async def test_a_bad_field_is_named(resident: httpx.AsyncClient) -> None:
    for fields, pointer, code in BAD_FIELDS:
        answer = await resident.post("/v1/reports", data=form(**fields))
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "request.invalid"), fields
        faults = [(e["pointer"], e["code"]) for e in problem["errors"]]
        assert faults == [(pointer, code)], fields


POINT = {"longitude": "103.9", "latitude": "30.9", "coordinate_system": "wgs84"}


BAD_POINTS: list[tuple[dict[str, str], set[tuple[str, str]]]] = [
    ({"latitude": ""}, {("/latitude", "missing")}),
    ({"coordinate_system": ""}, {("/coordinate_system", "missing")}),
    ({"longitude": "", "latitude": ""}, {("/longitude", "missing"), ("/latitude", "missing")}),
    ({"longitude": "180.01"}, {("/longitude", "less_than_equal")}),
    ({"latitude": "-90.5"}, {("/latitude", "greater_than_equal")}),
    ({"longitude": "nan"}, {("/longitude", "finite_number")}),
    ({"longitude": "1e999"}, {("/longitude", "finite_number")}),
    ({"latitude": "north"}, {("/latitude", "float_parsing")}),
    ({"coordinate_system": "mars"}, {("/coordinate_system", "enum")}),
]


async def test_a_point_is_whole_and_on_earth(resident: httpx.AsyncClient) -> None:
    for change, faults in BAD_POINTS:
        answer = await resident.post("/v1/reports", data=form(**{**POINT, **change}))
        assert answer.status_code == 422, change
        assert {(e["pointer"], e["code"]) for e in answer.json()["errors"]} == faults


async def test_a_point_is_kept_as_given(resident: httpx.AsyncClient) -> None:
    for system in ("wgs84", "gcj02", "bd09", "cgcs2000"):
        point = {"longitude": "-180", "latitude": "90", "coordinate_system": system}
        report = await posted(resident, **point)
        assert [report[name] for name in point] == [-180.0, 90.0, system]


async def test_what_is_no_form_is_refused(resident: httpx.AsyncClient) -> None:
    no_boundary = {"content-type": "multipart/form-data"}
    answer = await resident.post("/v1/reports", content=b"abc", headers=no_boundary)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answer = await resident.post("/v1/reports", content=b"abc", headers=broken)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    answer = await resident.post("/v1/reports", json=form())
    assert answer.status_code == 422
    file_as_text = {"text": ("text.txt", b"words")}
    answer = await resident.post("/v1/reports", data={"category": "other"}, files=file_as_text)
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/text"]


async def test_a_form_in_a_strange_alphabet_is_refused(resident: httpx.AsyncClient) -> None:
    # In UTF-7, "+2AA-" is half of a character, which no text column holds.
    def part(name: str, value: str) -> str:
        return f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    for parts in (
        part("category", "other") + part("text", "+2AA-"),
        part("category", "other") + part("text", "fine") + part("+2AA-", "1"),
        part("category", "other") + part("text", "fine") + part("area", "+2AA-"),
    ):
        headers = {"content-type": "multipart/form-data; boundary=x; charset=utf-7"}
        content = f"{parts}--x--\r\n".encode()
        answer = await resident.post("/v1/reports", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), parts


async def test_a_body_over_the_limit_is_refused(resident: httpx.AsyncClient) -> None:
    headers = {
        "content-type": "multipart/form-data; boundary=x",
        "content-length": str(200 * 1024 * 1024),
    }
    answer = await resident.post("/v1/reports", content=b"", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


WHERE: list[tuple[Role, str, str | None, int, str]] = [
    # A resident's own area is taken where none is said, and any other may be said.
    (Role.RESIDENT, str(COMPOUND), None, 201, str(COMPOUND)),
    (Role.RESIDENT, JINSHA, None, 201, JINSHA),
    (Role.RESIDENT, JINSHA, OTHER_VILLAGE, 201, OTHER_VILLAGE),
    (Role.RESIDENT, JINSHA, str(OTHER_COMPOUND).upper(), 201, str(OTHER_COMPOUND)),
    # Staff stay within theirs.
    (Role.GRID_WORKER, GRID, None, 201, GRID),
    (Role.GRID_WORKER, GRID, JINSHA, 403, "area.forbidden"),
    (Role.COMMUNITY_WORKER, JINSHA, GRID, 201, GRID),
    (Role.COMMUNITY_WORKER, JINSHA, str(COMPOUND), 201, str(COMPOUND)),
    (Role.COMMUNITY_WORKER, JINSHA, str(OTHER_COMPOUND), 403, "area.forbidden"),
    (Role.COMMUNITY_WORKER, JINSHA, OTHER_VILLAGE, 403, "area.forbidden"),
    (Role.COMMUNITY_WORKER, JINSHA, TOWN, 403, "area.forbidden"),
    (Role.TOWN_OFFICER, TOWN, str(OTHER_COMPOUND), 201, str(OTHER_COMPOUND)),
    (Role.CITY_OFFICER, "510182", None, 201, "510182"),
    # These may not report at all.
    (Role.AUDITOR, "510182", None, 403, "role.forbidden"),
    (Role.ADMIN, "510182", None, 403, "role.forbidden"),
    (Role.CLIENT, "510182", None, 403, "role.forbidden"),
]


async def test_where_who_may_report(reports: App) -> None:
    for role, own, said, status, expected in WHERE:
        fields = {"area": said} if said else {}
        answer = await reports.as_role(role, own).post("/v1/reports", data=form(**fields))
        body = answer.json()
        told = body["area"] if answer.status_code == 201 else body["code"]
        assert (answer.status_code, told) == (status, expected), (role, own, said)


async def test_an_account_without_areas_has_to_say_one(reports: App, identity: Any) -> None:
    client = reports.client(identity.token(Role.RESIDENT, areas=()))
    answer = await client.post("/v1/reports", data=form())
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "area.missing")
    assert (await client.post("/v1/reports", data=form(area=JINSHA))).status_code == 201


async def test_a_scope_takes_the_permission_away(reports: App) -> None:
    client = reports.as_role(Role.RESIDENT, JINSHA, scope="reports.read")
    answer = await client.post("/v1/reports", data=form())
    assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")


async def test_the_same_key_files_one_report(resident: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "report-1"}
    first = await resident.post("/v1/reports", data=form(), headers=key)
    again = await resident.post("/v1/reports", data=form(), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await resident.post("/v1/reports", data=form(text="短"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")
    assert len((await resident.get("/v1/reports")).json()["items"]) == 1


async def test_twins_with_one_key_file_one_report(
    reports: App, resident: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": "twins"}
    answers = await asyncio.gather(
        *(resident.post("/v1/reports", data=form(), headers=key) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    async with reports.state["sessions"].read() as session:
        assert await session.scalar(sa.text("SELECT count(*) FROM report")) == 1
        assert await session.scalar(sa.text("SELECT count(*) FROM outbox")) == 1


async def test_categories_have_names(reports: App) -> None:
    answer = await reports.as_role(Role.RESIDENT, JINSHA).get("/v1/report-categories")
    items = answer.json()["items"]
    assert items[0] == {
        "code": "city_management",
        "name_zh": "城市管理",
        "name_en": "City management",
    }
    assert [item["code"] for item in items] == [
        "city_management",
        "community_affairs",
        "service_improvement",
        "public_facilities",
        "environment",
        "safety",
        "other",
    ]
