"""Change requests: at once or reviewed, sealed until decided, and never over somebody's work."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import GRANTS, Permission, Role
from services.common.database import Sessions
from services.residents_api.domain import change_policy
from services.residents_api.domain.change_policy import Handling
from services.residents_api.schemas.people import ResidentUpdate
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.feeds import position, states
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    changed,
    fault,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

FIRST = number("1990-05-01", 2)
SECOND = number("1985-12-31", 3)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker")


@pytest.fixture
def grid(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.GRID_WORKER, VILLAGE, sub="account:grid")


def citizen(register: App, resident: dict[str, Any]) -> httpx.AsyncClient:
    return register.as_role(
        Role.RESIDENT, VILLAGE, resident_id=UUID(resident["id"]), sub="account:citizen"
    )


async def _asked(
    client: httpx.AsyncClient, resident: dict[str, Any] | None, version: int = 1, **changes: Any
) -> httpx.Response:
    path = f"/v1/residents/{resident['id']}" if resident else "/v1/me"
    body = {"version": version, "changes": changes}
    return await client.post(f"{path}/change-requests", json=body)


async def _waits(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    request: dict[str, Any] = answer.json()
    assert request["state"] == "pending"
    return request


async def _decided(
    client: httpx.AsyncClient, request: dict[str, Any], act: str = "approve", **body: Any
) -> httpx.Response:
    return await client.post(f"/v1/change-requests/{request['id']}/{act}", json=body)


def test_every_field_has_a_policy_and_every_reviewer_may_review() -> None:
    assert ResidentUpdate.model_fields.keys() == change_policy.FIELDS
    assert {
        role for role in Role if Permission.RESIDENTS_REVIEW in GRANTS[role]
    } == change_policy.REVIEWERS
    for role in Role:
        handled = {
            change_policy.handling(name, [role], is_own=False) for name in ("name", "id_number")
        }
        if role in change_policy.REVIEWERS:
            assert handled == {Handling.AT_ONCE}
        else:
            expected = Handling.REVIEW if role is Role.GRID_WORKER else Handling.NEVER
            assert handled == {expected}, role
        # Whatever else somebody is, their own record they correct as a resident.
        assert change_policy.handling("name", [role], is_own=True) is Handling.REVIEW


async def test_a_resident_corrects_a_phone_at_once(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, phones=["13800000000"])
    me = citizen(register, who)
    shown = await me.get("/v1/me/resident")
    assert shown.json() == who
    start = await position(register)
    answer = await _asked(me, None, phones=["13912345678"], education="undergraduate")
    assert answer.status_code == 201, answer.text
    request = answer.json()
    assert (request["state"], request["is_own"], request["decided_by"]) == ("applied", True, None)
    assert [(c["field"], c["applied"]) for c in request["changes"]] == [
        ("education", True),
        ("phones", True),
    ]
    assert (await revealed(worker, who["id"]))["phones"] == ["+8613912345678"]
    assert [(s["version"], s["education"]) for s in await states(register, start)] == [
        (2, "undergraduate")
    ]
    assert (await me.get("/v1/me/change-requests")).json()["items"] == [request]
    listed = await worker.get("/v1/change-requests", params={"state": "applied"})
    assert listed.json()["items"] == [request]


async def test_what_others_rely_on_waits_for_a_review(
    register: App, worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    who = await registered(worker, "张三", id_number=FIRST)
    me = citizen(register, who)
    start = await position(register)
    request = await _waits(await _asked(me, None, name="张山", phones=["13912345678"]))
    assert {
        c["field"]: (c["from"], c["to"], c["waits"], c["applied"]) for c in request["changes"]
    } == {
        "name": ("张*", "张*", True, False),
        "phones": (None, None, False, True),
    }
    assert (await revealed(worker, who["id"]))["name"] == "张三"
    async with sessions.read() as session:
        for row in await session.execute(sa.text("SELECT t::text FROM change_request t")):
            assert "张山" not in row[0]
            assert "13912345678" not in row[0]
            assert "张山".encode().hex() not in row[0]
    assert (await worker.get("/v1/change-requests")).json()["items"] == [request]
    plain = await worker.post(
        f"/v1/change-requests/{request['id']}/reveal", json={"purpose": "核对证件"}
    )
    assert plain.json() == {"id": request["id"], "changes": {"name": "张山"}}
    assert plain.headers["cache-control"] == "no-store"
    auditor = register.as_role(Role.AUDITOR, VILLAGE)
    records = (await auditor.get(f"/v1/residents/{who['id']}/accesses")).json()["items"]
    assert records[-1]["fields"] == ["change_request.name", "change_request.phones"]
    answer = await _decided(worker, request, reason="已核对证件")
    assert answer.status_code == 200, answer.text
    decided = answer.json()
    assert (decided["state"], decided["decided_by"]) == ("approved", "account:worker")
    assert decided["reason"] == "已核对证件"
    assert (await revealed(worker, who["id"]))["name"] == "张山"
    assert [s["version"] for s in await states(register, start)] == [2, 3]
    assert (await worker.get("/v1/change-requests")).json()["items"] == []
    for act, body in (("approve", {}), ("reject", {"reason": "重复"})):
        again = await _decided(worker, request, act, **body)
        assert refusal(again) == (409, "change_request.not_pending")
    async with sessions.read() as session:
        assert await session.scalar(sa.text("SELECT count(wanted) FROM change_request")) == 0


async def test_a_rejection_says_why(register: App, worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三")
    me = citizen(register, who)
    request = await _waits(await _asked(me, None, name="李四"))
    assert fault(await _decided(worker, request, "reject"))[0] == "/reason"
    answer = await _decided(worker, request, "reject", reason="姓名以户口簿为准")
    assert answer.json()["state"] == "rejected"
    (mine,) = (await me.get("/v1/me/change-requests")).json()["items"]
    assert (mine["state"], mine["reason"]) == ("rejected", "姓名以户口簿为准")
    assert (await revealed(worker, who["id"]))["name"] == "张三"


async def test_a_grid_worker_asks_for_what_decides_who_somebody_is(
    worker: httpx.AsyncClient, grid: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三", id_number=FIRST)
    for values in ({"name": "李四"}, {"id_number": SECOND}, {"birth_date": "1990-05-02"}):
        answer = await grid.patch(
            f"/v1/residents/{who['id']}", json=values, headers={"If-Match": '"1"'}
        )
        assert refusal(answer) == (403, "resident.needs_review"), values
    request = await _waits(await _asked(grid, who, id_number=SECOND, occupation="农民"))
    assert request["changes"][0]["to"] == f"{SECOND[:3]}{'*' * 14}{SECOND[-1]}"
    assert (await worker.get(f"/v1/residents/{who['id']}")).json()["occupation"] == "农民"
    # Nobody decides alone: not the one who asked, not whoever it is about.
    assert refusal(await _decided(grid, request))[1] == "role.forbidden"
    answer = await _decided(worker, request)
    assert answer.status_code == 200, answer.text
    shown = await revealed(worker, who["id"])
    assert shown["id_number"] == SECOND
    after = (await worker.get(f"/v1/residents/{who['id']}")).json()
    assert (after["birth_date"], after["sex"]) == ("1985-12-31", "male")


async def test_nobody_decides_on_their_own(register: App, worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三")
    both = register.as_role(Role.GRID_WORKER, VILLAGE, sub="account:worker")
    request = await _waits(await _asked(both, who, name="李四"))
    assert refusal(await _decided(worker, request)) == (403, "change_request.own")
    themselves = register.as_role(
        Role.COMMUNITY_WORKER, VILLAGE, sub="account:other", resident_id=UUID(who["id"])
    )
    assert refusal(await _decided(themselves, request)) == (403, "change_request.own")
    answer = await _decided(themselves, request, "reject", reason="x")
    assert refusal(answer) == (403, "change_request.own")


async def test_what_somebody_changed_meanwhile_is_shown_and_not_overwritten(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三", phones=["13800000000"])
    me = citizen(register, who)
    await changed(worker, who["id"], phones=["13700001111"])
    answer = await _asked(me, None, version=1, phones=["13912345678"], education="undergraduate")
    assert refusal(answer) == (409, "change_request.conflict")
    assert answer.json()["conflicts"] == [
        {"field": "phones", "current": ["137****1111"], "wanted": ["139****5678"]}
    ]
    assert "13912345678" not in answer.text
    # All of it or nothing.
    assert (await worker.get(f"/v1/residents/{who['id']}")).json()["version"] == 2
    assert (await me.get("/v1/me/change-requests")).json()["items"] == []
    # Other fields are nobody's work, and what is there already is no conflict.
    answer = await _asked(me, None, version=1, education="undergraduate", phones=["13700001111"])
    assert answer.json()["state"] == "applied", answer.text
    assert refusal(await _asked(me, None, version=9, education="primary")) == (
        412,
        "precondition.failed",
    )


async def test_a_request_that_waited_too_long_is_not_approved(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三", id_number=FIRST)
    me = citizen(register, who)
    request = await _waits(await _asked(me, None, name="张山", marital_status="never_married"))
    await changed(worker, who["id"], name="张珊")
    shown = (await worker.get(f"/v1/change-requests/{request['id']}")).json()
    assert shown["conflicts"] == [{"field": "name", "current": "张*", "wanted": "张*"}]
    answer = await _decided(worker, request)
    assert refusal(answer) == (409, "change_request.conflict")
    assert [one["field"] for one in answer.json()["conflicts"]] == ["name"]
    assert (await revealed(worker, who["id"]))["name"] == "张珊"
    assert (await _decided(worker, request, "reject", reason="已更正")).status_code == 200


async def test_a_number_changed_meanwhile_is_a_conflict_and_another_document_is_none(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三", id_number=FIRST)
    me = citizen(register, who)
    request = await _waits(await _asked(me, None, id_number=SECOND))
    path = f"/v1/residents/{who['id']}/identity-documents"
    passport = {"kind": "passport", "number": "E12345678", "issuing_country": "chn"}
    assert (await worker.post(path, json=passport)).status_code == 201
    assert (await worker.get(f"/v1/change-requests/{request['id']}")).json()["conflicts"] == []
    await changed(worker, who["id"], id_number=number("1985-12-31", 5))
    shown = (await worker.get(f"/v1/change-requests/{request['id']}")).json()
    assert [one["field"] for one in shown["conflicts"]] == ["id_number"]


async def test_a_number_of_somebody_else_is_not_taken(
    register: App, worker: httpx.AsyncClient
) -> None:
    await registered(worker, "李四", id_number=SECOND)
    who = await registered(worker, "张三", id_number=FIRST)
    request = await _waits(await _asked(citizen(register, who), None, id_number=SECOND))
    assert refusal(await _decided(worker, request)) == (409, "resident.id_number_taken")
    assert (await revealed(worker, who["id"]))["id_number"] == FIRST


async def test_requests_are_checked_before_they_wait(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三", id_number=FIRST)
    me = citizen(register, who)
    for changes, expected in (
        ({}, ("/", "change_request.empty")),
        ({"note": "x"}, ("/changes/note", "field.not_changeable")),
        ({"name": None}, ("/changes/name", "field.required")),
        ({"name": "123"}, ("/changes/name", "name.missing")),
        ({"id_number": "519900199005010"}, ("/changes/id_number", None)),
        ({"birth_date": "1991-01-01"}, ("/changes/birth_date", "birth_date.conflicts_with_id")),
        ({"phones": ["1"]}, ("/changes/phones/0", "phone.invalid")),
        ({"age": 3}, ("/changes/age", "extra_forbidden")),
    ):
        answer = await _asked(me, None, **changes)
        pointer, code = fault(answer) if changes else ("/", "change_request.empty")
        assert answer.status_code == 422
        assert pointer == expected[0], changes
        assert expected[1] in (code, None), changes
    first = await _waits(await _asked(me, None, name="李四"))
    again = await _asked(me, None, name="王五")
    assert refusal(again) == (409, "change_request.waits_already")
    await _decided(worker, first, "reject", reason="不符")
    await _waits(await _asked(me, None, name="王五"))


async def test_requests_are_seen_where_the_resident_is(
    register: App, worker: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三")
    request = await _waits(await _asked(citizen(register, who), None, name="李四"))
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    listed = await town.get("/v1/change-requests", params={"area": VILLAGE})
    assert [one["id"] for one in listed.json()["items"]] == [request["id"]]
    elsewhere = await town.get("/v1/change-requests", params={"area": NEXT_VILLAGE})
    assert elsewhere.json()["items"] == []
    outside = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, sub="account:outside")
    assert (await outside.get("/v1/change-requests")).json()["items"] == []
    refused = await outside.get("/v1/change-requests", params={"area": VILLAGE})
    assert refusal(refused) == (403, "area.forbidden")
    for answer in (
        await outside.get(f"/v1/change-requests/{request['id']}"),
        await _decided(outside, request),
        await _decided(outside, request, "reject", reason="x"),
        await outside.post(f"/v1/change-requests/{request['id']}/reveal", json={"purpose": "核对"}),
        await town.get(f"/v1/change-requests/{uuid4()}"),
    ):
        assert refusal(answer) == (404, "change_request.not_found")
    assert refusal(await _asked(outside, who, name="x")) == (404, "resident.not_found")
    auditor = register.as_role(Role.AUDITOR, VILLAGE)
    records = (await auditor.get(f"/v1/residents/{who['id']}/accesses")).json()["items"]
    assert [one["outcome"] for one in records] == ["refused"]
    nobody = register.as_role(Role.RESIDENT, VILLAGE, sub="account:nobody")
    assert refusal(await nobody.get("/v1/me/resident")) == (404, "resident.not_found")
    assert refusal(await _asked(nobody, None, education="primary"))[0] == 404
    assert (await nobody.get("/v1/me/change-requests")).json()["items"] == []


async def test_of_two_reviewers_one_decides(register: App, worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三")
    request = await _waits(await _asked(citizen(register, who), None, name="李四"))
    answers = await asyncio.gather(
        _decided(worker, request), _decided(worker, request, "reject", reason="x")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_the_worklist_is_as_many_queries_however_long(
    register: App, worker: httpx.AsyncClient
) -> None:
    counted: list[int] = []
    for _ in range(2):
        for _ in range(3):
            who = await registered(worker, "张三", phones=["13800000000"])
            await _waits(await _asked(citizen(register, who), None, name="李四"))
            await changed(worker, who["id"], education="undergraduate")
        with QueryLog() as queries:
            await worker.get("/v1/change-requests")
        counted.append(len(queries))
    assert counted == [4, 4]


async def test_requests_of_two_workers_lose_nothing(
    register: App, worker: httpx.AsyncClient, grid: httpx.AsyncClient
) -> None:
    who = await registered(worker, "张三")
    answers = await asyncio.gather(
        worker.patch(
            f"/v1/residents/{who['id']}", json={"occupation": "教师"}, headers={"If-Match": '"1"'}
        ),
        grid.patch(
            f"/v1/residents/{who['id']}", json={"occupation": "农民"}, headers={"If-Match": '"1"'}
        ),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    shown = (await worker.get(f"/v1/residents/{who['id']}")).json()
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert (shown["occupation"], shown["version"]) == (won["occupation"], 2)
