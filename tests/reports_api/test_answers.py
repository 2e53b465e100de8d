"""Answer and resolve: who may, what it does, and that it happens once."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.common.access import Role
from services.reports_api.domain.cases import ReplyKind, ReportStatus, after
from services.reports_api.errors import ReportAlreadyResolved
from tests.conftest import FixedClock
from tests.houses import App
from tests.reports_api.conftest import posted
from tests.reports_api.register import COMPOUND, GRID, JINSHA, OTHER_VILLAGE, TOWN

NOWHERE = "/v1/reports/0197a000-0000-7000-8000-0000000000ff"


def test_statuses() -> None:
    assert after(ReportStatus.RECEIVED, ReplyKind.REPLY) == "in_progress"
    assert after(ReportStatus.RECEIVED, ReplyKind.RESOLUTION) == "resolved"
    assert after(ReportStatus.IN_PROGRESS, ReplyKind.REPLY) == "in_progress"
    assert after(ReportStatus.IN_PROGRESS, ReplyKind.RESOLUTION) == "resolved"
    assert after(ReportStatus.RESOLVED, ReplyKind.REPLY) == "resolved"
    with pytest.raises(ReportAlreadyResolved):
        after(ReportStatus.RESOLVED, ReplyKind.RESOLUTION)


async def test_a_report_is_answered_and_resolved(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    clock.advance(timedelta(minutes=1))
    reply = await worker.post(f"{url}/replies", json={"text": " 已派人\n今晚清运 "})
    assert reply.status_code == 201
    assert reply.headers["location"] == url
    assert reply.headers["position"].startswith("reports_api.")
    first = reply.json()
    assert first == {
        "id": first["id"],
        "kind": "reply",
        "text": "已派人\n今晚清运",
        "author_role": "community_worker",
        "created_at": "2026-11-23T04:01:00Z",
    }
    read = await resident.get(url)
    assert (read.json()["status"], read.json()["replies"]) == ("in_progress", [first])
    assert read.headers["etag"] == '"2"'

    clock.advance(timedelta(minutes=1))
    resolved = await worker.post(f"{url}/resolve", json={"text": "已清运"})
    assert resolved.status_code == 200
    assert resolved.headers["etag"] == '"3"'
    report = resolved.json()
    assert (report["status"], report["resolved_at"]) == ("resolved", "2026-11-23T04:02:00Z")
    assert [(r["kind"], r["text"]) for r in report["replies"]] == [
        ("reply", "已派人\n今晚清运"),
        ("resolution", "已清运"),
    ]
    assert (await resident.get(url)).json() == report


async def test_a_resolved_report_takes_follow_ups_and_no_second_resolution(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    assert (await worker.post(f"{url}/resolve", json={"text": "已修好"})).status_code == 200
    before = (await worker.get(url)).json()
    clock.advance(timedelta(minutes=5))
    again = await worker.post(f"{url}/resolve", json={"text": "又修好"})
    assert (again.status_code, again.json()["code"]) == (409, "report.already_resolved")
    assert (await worker.get(url)).json() == before
    assert (await worker.post(f"{url}/replies", json={"text": "回访"})).status_code == 201
    report = (await worker.get(url)).json()
    assert (report["status"], report["resolved_at"]) == ("resolved", before["resolved_at"])
    assert [r["kind"] for r in report["replies"]] == ["resolution", "reply"]


async def test_who_answers(reports: App, resident: httpx.AsyncClient) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    for role, own, status, code in (
        (Role.COMMUNITY_WORKER, JINSHA, 201, None),
        (Role.GRID_WORKER, str(COMPOUND), 201, None),
        (Role.TOWN_OFFICER, TOWN, 201, None),
        (Role.CITY_OFFICER, "510182", 201, None),
        # A compound is not cut by grids: its reports are no grid's.
        (Role.GRID_WORKER, GRID, 404, "report.not_found"),
        (Role.COMMUNITY_WORKER, OTHER_VILLAGE, 404, "report.not_found"),
        (Role.RESIDENT, JINSHA, 403, "role.forbidden"),
        (Role.AUDITOR, "510182", 403, "role.forbidden"),
        (Role.ADMIN, "510182", 403, "role.forbidden"),
        (Role.CLIENT, "510182", 403, "role.forbidden"),
    ):
        client = reports.as_role(role, own, sub="account:resident")
        answer = await client.post(f"{url}/replies", json={"text": "收到"})
        body = answer.json()
        assert (answer.status_code, body.get("code")) == (status, code), (role, own)
        if status == 201:
            assert body["author_role"] == role.value
        else:
            refused = await client.post(f"{url}/resolve", json={"text": "收到"})
            assert (refused.status_code, refused.json()["code"]) == (status, code)
    missing = await reports.as_role(Role.CITY_OFFICER).post(
        f"{NOWHERE}/replies", json={"text": "收到"}
    )
    assert (missing.status_code, missing.json()["code"]) == (404, "report.not_found")


async def test_with_several_roles_the_widest_answers(reports: App, identity: Any) -> None:
    token = identity.token(
        Role.RESIDENT, Role.GRID_WORKER, Role.TOWN_OFFICER, areas=(JINSHA,), sub="account:both"
    )
    client = reports.client(token)
    report = await posted(client, area=OTHER_VILLAGE)
    # Seen as one's own; answered by nobody of another area, its reporter included.
    assert (await client.get(f"/v1/reports/{report['id']}")).status_code == 200
    answer = await client.post(f"/v1/reports/{report['id']}/replies", json={"text": "收到"})
    assert answer.status_code == 404
    inside = await posted(client, area=JINSHA)
    answer = await client.post(f"/v1/reports/{inside['id']}/replies", json={"text": "收到"})
    assert answer.json()["author_role"] == "town_officer"


async def test_an_answer_is_words(resident: httpx.AsyncClient, worker: httpx.AsyncClient) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    for body, pointer, code in (
        ({}, "/text", "missing"),
        ({"text": ""}, "/text", "string_too_short"),
        ({"text": "　\t "}, "/text", "string_too_short"),
        ({"text": 5}, "/text", "string_type"),
        ({"text": None}, "/text", "string_type"),
        ({"text": "字" * 4001}, "/text", "string_too_long"),
        ({"text": "a\x00"}, "/text", "text.control_character"),
        ({"text": "好", "kind": "resolution"}, "/kind", "extra_forbidden"),
    ):
        for act in ("replies", "resolve"):
            answer = await worker.post(f"{url}/{act}", json=body)
            assert answer.status_code == 422, body
            assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    for content, status in (
        (b"{", 400),
        (b"[]", 422),
        (b'{"text": "\\ud800"}', 422),
        (b'{"text": "x", "\\ud800": 1}', 422),
    ):
        headers = {"content-type": "application/json"}
        answer = await worker.post(f"{url}/replies", content=content, headers=headers)
        assert answer.status_code == status, content
    answer = await worker.post(f"{url}/replies", json={"text": "字" * 1024 * 1024})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    answer = await worker.post("/v1/reports/17/replies", json={"text": "好"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/path/report_id")
    report = (await worker.get(url)).json()
    assert (report["status"], report["replies"]) == ("received", [])


async def test_of_many_at_once_one_resolves(
    reports: App, resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    others = [worker, reports.as_role(Role.TOWN_OFFICER, TOWN, sub="account:town")] * 4
    acts = [client.post(f"{url}/resolve", json={"text": "已修好"}) for client in others]
    acts += [client.post(f"{url}/replies", json={"text": "在处理"}) for client in others]
    answers = await asyncio.gather(*acts)
    resolved = [answer.status_code for answer in answers[:8]]
    assert sorted(resolved) == [200] + [409] * 7
    assert {answer.status_code for answer in answers[8:]} == {201}
    read = await worker.get(url)
    kinds = [reply["kind"] for reply in read.json()["replies"]]
    assert sorted(kinds) == ["reply"] * 8 + ["resolution"]
    assert read.headers["etag"] == '"10"'


async def test_the_same_key_answers_once(
    resident: httpx.AsyncClient, worker: httpx.AsyncClient
) -> None:
    url = f"/v1/reports/{(await posted(resident))['id']}"
    key = {"Idempotency-Key": "answer-1"}
    first = await worker.post(f"{url}/resolve", json={"text": "已修好"}, headers=key)
    again = await worker.post(f"{url}/resolve", json={"text": "已修好"}, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len((await worker.get(url)).json()["replies"]) == 1
