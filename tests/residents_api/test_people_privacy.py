"""What nobody gets to see without a reason, and what is left behind by those who had one."""

import io
import logging
import sys
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.models import NOBODY
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api import ledgers
from tests.residents_api.ledgers import all_items
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

NAME = "欧阳明珠"
NUMBER = number("1990-05-01", 2)
OTHER_NUMBER = number("1987-02-03", 22)
PHONE = "13812345678"
EMPLOYER = "九尺镇豆腐坊"
ADDRESS = "彭州市九尺镇某路七号"
SECRETS = (NAME, "明珠", NUMBER, NUMBER[6:], PHONE, PHONE[3:], OTHER_NUMBER, EMPLOYER, ADDRESS)


class Heard:
    """Everything that came back from the register, and everything it wrote down."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.log = io.StringIO()

    async def note(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.answers.append(f"{answer.request.url} {answer.headers} {answer.text}")

    def assert_nothing_said(self, *secrets: str) -> None:
        assert self.answers
        assert self.log.getvalue()
        for heard in (*self.answers, self.log.getvalue()):
            for secret in secrets:
                assert secret not in heard
                assert secret.encode("unicode_escape").decode() not in heard


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listens before the register starts: to its own lines and to those of every library."""
    listening = Heard()
    monkeypatch.setattr(sys, "stderr", listening.log)
    return listening


@pytest.fixture
async def worker(register: App, heard: Heard) -> AsyncGenerator[httpx.AsyncClient]:
    logging.getLogger().setLevel("DEBUG")
    async with register.as_role(Role.COMMUNITY_WORKER, VILLAGE) as client:
        client.event_hooks["response"].append(heard.note)
        yield client


async def _accesses(register: App, resident_id: str) -> list[dict[str, Any]]:
    auditor = register.as_role(Role.AUDITOR, sub="account:auditor")
    return [item async for item in all_items(auditor, f"/v1/residents/{resident_id}/accesses")]


async def test_nothing_plain_is_said_or_written_down(
    worker: httpx.AsyncClient, register: App, heard: Heard
) -> None:
    traits = {"employer": EMPLOYER, "registered_address": ADDRESS, "note": f"{NAME}，{PHONE}"}
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONE, PHONE], **traits)
    assert who["name"] == "欧阳**"
    assert who["phones"] == ["138****5678"]
    address = f"/v1/residents/{who['id']}"
    await worker.get(address)
    await worker.get("/v1/residents", params={"area": VILLAGE})
    for terms in ({"name": NAME}, {"id_number": NUMBER}, {"phone": PHONE}, {"pinyin": "oymz"}):
        assert len(await found(worker, **terms)) == 1
    await changed(worker, who["id"], name=NAME, id_number=NUMBER, phones=[PHONE])
    # Refusals quote nothing either.
    await worker.post(
        "/v1/residents",
        json={"name": NAME, "id_number": NUMBER, "population_type": "floating"},
    )
    await worker.post("/v1/residents", json={"name": NAME, "phones": [PHONE, NUMBER]})
    await worker.post("/v1/residents/search", json={"id_number": NUMBER[:-1], "phone": PHONE + "1"})
    await worker.post("/v1/residents", content=f'{{"name": "{NAME}", "id_number": {NUMBER}')
    await worker.patch(address, json={"id_number": [NUMBER], "name": {"x": NAME}})
    # Nor does an import, whatever of it is wrong.
    person = ledgers.person(NAME, NUMBER, phones=PHONE + "9", labels=f"退役军人、{PHONE}")
    rejected = ledgers.person(NAME, NUMBER[:-1], phones=PHONE)
    other = ledgers.person("李" + NAME, OTHER_NUMBER, room="102", employer=EMPLOYER)
    job = await ledgers.succeeded(worker, person, rejected, other)
    assert (job["rows_accepted"], job["rows_rejected"]) == (2, 1)
    async for _ in all_items(worker, f"/v1/imports/{job['id']}/rows"):
        pass
    heard.assert_nothing_said(*SECRETS)
    shown = await revealed(worker, who["id"], "name", "id_number", "phones")
    assert (shown["name"], shown["id_number"], shown["phones"]) == (NAME, NUMBER, ["+86" + PHONE])
    assert NAME not in heard.log.getvalue()
    assert NUMBER not in heard.log.getvalue()
    # Events and metrics are for neighbours: they name nobody.
    neighbour = register.as_service()
    start = (await neighbour.get("/internal/snapshot")).json()["position"]
    page = await neighbour.get("/internal/feed", params={"after": start.split(".")[0] + ".0"})
    snapshot = await neighbour.get("/internal/snapshot", params={"after": "0" * 32})
    metrics = await neighbour.get("/metrics")
    for answer in (page, snapshot, metrics):
        assert answer.status_code == 200
        for secret in SECRETS:
            assert secret not in answer.text


async def test_numbers_and_phones_are_unreadable_at_rest(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await registered(worker, NAME, id_number=NUMBER, phones=[PHONE])
    await ledgers.succeeded(worker, ledgers.person("张三", OTHER_NUMBER, phones="13912345678"))
    async with sessions.read() as session:
        for table in ("identity_document", "phone", "ledger_row", "outbox", "idempotency_key"):
            for row in await session.execute(sa.text(f"SELECT t::text FROM {table} t")):  # noqa: S608
                for secret in (NUMBER, OTHER_NUMBER, PHONE, "13912345678"):
                    assert secret not in row[0]
                    assert secret.encode().hex() not in row[0]
        assert await session.scalar(sa.text("SELECT count(*) FROM ledger_staging")) == 0


async def test_a_reveal_leaves_one_record_and_is_not_stored(
    worker: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONE])
    grid = register.as_role(Role.GRID_WORKER, VILLAGE, sub="account:grid")
    answer = await grid.post(
        f"/v1/residents/{who['id']}/reveal",
        json={"purpose": "  送养老金资格认证通知  ", "fields": ["phones", "name"]},
        headers={"Idempotency-Key": "k", "X-Request-Id": "request-of-the-test"},
    )
    assert answer.json() == {
        "id": who["id"],
        "name": NAME,
        "id_number": None,
        "phones": ["+86" + PHONE],
        "employer": None,
        "registered_address": None,
        "note": None,
        "identity_documents": None,
        "guardians": None,
        "destination": None,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert "position" not in answer.headers
    (record,) = await _accesses(register, who["id"])
    assert record.pop("id")
    assert record == {
        "at": "2026-11-23T04:00:00Z",
        "actor": "account:grid",
        "act": "reveal",
        "purpose": "送养老金资格认证通知",
        "fields": ["phones", "name"],
        "outcome": "granted",
    }
    await revealed(worker, who["id"], "name")
    await revealed(worker, who["id"], "name")
    assert len(await _accesses(register, who["id"])) == 3


async def test_masked_reading_leaves_none(worker: httpx.AsyncClient, register: App) -> None:
    who = await registered(worker, NAME, id_number=NUMBER)
    await worker.get(f"/v1/residents/{who['id']}")
    await found(worker, name=NAME)
    await found(worker, pinyin="ouyang")
    assert await _accesses(register, who["id"]) == []


async def test_looking_somebody_up_by_number_or_phone_leaves_a_record(
    worker: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONE])
    other = await registered(worker, "李四", phones=[PHONE])
    await found(worker, id_number=NUMBER)
    await found(worker, phone=PHONE, name="李")
    await found(worker, phone=PHONE)
    assert [(r["act"], r["fields"], r["actor"]) for r in await _accesses(register, who["id"])] == [
        ("look_up", ["id_number"], "account:test"),
        ("look_up", ["phone"], "account:test"),
    ]
    assert len(await _accesses(register, other["id"])) == 2


async def _looked_up(sessions: Sessions) -> list[tuple[Any, ...]]:
    asked = "SELECT resident_id, actor, fields, outcome FROM access_record ORDER BY id"
    async with sessions.read() as session:
        return [tuple(row) for row in await session.execute(sa.text(asked))]


async def test_a_look_up_that_finds_nobody_leaves_a_record_too(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await registered(worker, NAME, id_number=NUMBER)
    assert await found(worker, id_number=OTHER_NUMBER) == []
    assert await found(worker, phone=PHONE) == []
    assert await found(worker, name="李") == []
    assert await _looked_up(sessions) == [
        (NOBODY, "account:test", ["id_number"], "not_found"),
        (NOBODY, "account:test", ["phone"], "not_found"),
    ]


async def test_whoever_is_looked_for_from_elsewhere_can_know(
    worker: httpx.AsyncClient, register: App, sessions: Sessions
) -> None:
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONE])
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, sub="account:curious")
    assert await found(stranger, id_number=NUMBER, phone=PHONE) == []
    refused = await stranger.post(
        "/v1/residents/search", json={"id_number": NUMBER, "area": VILLAGE}
    )
    assert refusal(refused) == (403, "area.forbidden")
    refused = await stranger.post(
        "/v1/residents/search", json={"id_number": OTHER_NUMBER, "area": VILLAGE}
    )
    assert refusal(refused) == (403, "area.forbidden")
    assert await _looked_up(sessions) == [
        (UUID(who["id"]), "account:curious", ["id_number", "phone"], "refused"),
        (UUID(who["id"]), "account:curious", ["id_number"], "refused"),
        (NOBODY, "account:curious", ["id_number"], "not_found"),
    ]
    outcomes = [record["outcome"] for record in await _accesses(register, who["id"])]
    assert outcomes == ["refused", "refused"]


async def test_who_tried_in_vain_is_recorded_too(worker: httpx.AsyncClient, register: App) -> None:
    who = await registered(worker, NAME, id_number=NUMBER)
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, sub="account:curious")
    answer = await stranger.post(
        f"/v1/residents/{who['id']}/reveal", json={"purpose": "好奇", "fields": ["id_number"]}
    )
    assert refusal(answer) == (404, "resident.not_found")
    (record,) = await _accesses(register, who["id"])
    assert (record["actor"], record["outcome"]) == ("account:curious", "refused")
    assert (record["purpose"], record["fields"]) == ("好奇", ["id_number"])


async def test_a_reveal_without_a_reason_is_refused(
    worker: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, NAME)
    for body, pointer in (
        ({"fields": ["name"]}, "/purpose"),
        ({"purpose": "", "fields": ["name"]}, "/purpose"),
        ({"purpose": " x ", "fields": ["name"]}, "/purpose"),
        ({"purpose": "核\u0000实", "fields": ["name"]}, "/purpose"),
        ({"purpose": "x" * 201, "fields": ["name"]}, "/purpose"),
        ({"purpose": "核实", "fields": []}, "/fields"),
        ({"purpose": "核实"}, "/fields"),
        ({"purpose": "核实", "fields": ["birth_date"]}, "/fields/0"),
        ({"purpose": "核实", "fields": ["name"] * 10}, "/fields"),
        ({"purpose": "核实", "fields": ["name"], "for": "x"}, "/for"),
    ):
        answer = await worker.post(f"/v1/residents/{who['id']}/reveal", json=body)
        assert fault(answer)[0] == pointer, body
    assert await _accesses(register, who["id"]) == []


async def test_who_read_is_for_the_auditor_of_the_area(
    worker: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, NAME)
    for _ in range(5):
        await revealed(worker, who["id"], "name")
    path = f"/v1/residents/{who['id']}/accesses"
    auditor = register.as_role(Role.AUDITOR, "510182")
    pages = [item["id"] async for item in all_items(auditor, path, page_size=2)]
    assert len(pages) == len(set(pages)) == 5
    with QueryLog() as queries:
        await auditor.get(path)
    assert len(queries) == 2
    elsewhere = register.as_role(Role.AUDITOR, "510105")
    assert refusal(await elsewhere.get(path)) == (404, "resident.not_found")
    for role in set(Role) - {Role.AUDITOR}:
        assert refusal(await register.as_role(role).get(path)) == (403, "role.forbidden"), role


async def test_roles_without_people_see_none(worker: httpx.AsyncClient, register: App) -> None:
    who = await registered(worker, NAME)
    paths = ("", "/search", f"/{who['id']}", f"/{who['id']}/reveal", f"/{who['id']}/occupancies")
    for role in (Role.AUDITOR, Role.ADMIN, Role.RESIDENT):
        client = register.as_role(role, resident_id=who["id"])
        for path in paths:
            for method in ("GET", "POST", "PATCH"):
                answer = await client.request(method, f"/v1/residents{path}", json={})
                if answer.status_code != 405:
                    assert refusal(answer) == (403, "role.forbidden"), (role, method, path)
        for path in ("dwellings", "imports"):
            answer = await client.get(f"/v1/{path}")
            assert refusal(answer) == (403, "role.forbidden"), (role, path)
    platform = register.as_role(Role.CLIENT)
    assert (await platform.get(f"/v1/residents/{who['id']}")).status_code == 200
    answer = await platform.post(f"/v1/residents/{who['id']}/reveal", json={})
    assert refusal(answer) == (403, "role.forbidden")
    scoped = register.as_role(Role.COMMUNITY_WORKER, scope="reference.read")
    assert refusal(await scoped.get("/v1/residents")) == (403, "role.forbidden")
    nobody = await register.client().get(f"/v1/residents/{who['id']}")
    assert refusal(nobody) == (401, "token.missing")
