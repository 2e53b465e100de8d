"""Identity documents of several kinds: sealed, masked, found, and each number one person's."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from tests.houses import App
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

CARD = number("1990-05-01", 2)
PERMIT = number("1990-05-01", 4, area="810000")
PASSPORT: dict[str, Any] = {"kind": "passport", "number": "E12345678", "issuing_country": "chn"}
KINDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"kind": "resident_id_card", "number": CARD}, f"519{'*' * 14}{CARD[-1]}"),
    ({"kind": "hmt_residence_permit", "number": PERMIT}, f"810{'*' * 14}{PERMIT[-1]}"),
    ({"kind": "foreign_permanent_resident_id", "number": "FRA310190050103"}, "FRA***********3"),
    (PASSPORT, "E*******8"),
    ({"kind": "birth_certificate", "number": "P510182006"}, "P********6"),
)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _add(
    client: httpx.AsyncClient, resident: dict[str, Any], document: dict[str, Any]
) -> httpx.Response:
    return await client.post(f"/v1/residents/{resident['id']}/identity-documents", json=document)


async def _added(
    client: httpx.AsyncClient, resident: dict[str, Any], document: dict[str, Any]
) -> dict[str, Any]:
    answer = await _add(client, resident, document)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def _held(client: httpx.AsyncClient, resident: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/residents/{resident['id']}/identity-documents")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def _set(
    client: httpx.AsyncClient, resident: dict[str, Any], document: dict[str, Any], status: str
) -> httpx.Response:
    path = f"/v1/residents/{resident['id']}"
    tag = (await client.get(path)).headers["etag"]
    return await client.patch(
        f"{path}/identity-documents/{document['id']}",
        json={"status": status},
        headers={"If-Match": tag},
    )


async def test_every_kind_is_kept_masked_found_and_revealed(
    worker: httpx.AsyncClient, sessions: Sessions, register: App
) -> None:
    who = await registered(worker, "张三", sex="female")
    for document, masked in KINDS:
        added = await _added(worker, who, document)
        assert (added["kind"], added["number"], added["status"]) == (
            document["kind"],
            masked,
            "valid",
        )
        hits = await found(worker, identity_document=document)
        assert [hit["id"] for hit in hits] == [who["id"]], document
    assert len(await _held(worker, who)) == len(KINDS)
    shown = (await worker.get(f"/v1/residents/{who['id']}")).json()
    assert shown["id_number"] == f"519{'*' * 14}{CARD[-1]}"
    assert shown["version"] == 1 + len(KINDS)
    plain = await revealed(worker, who["id"], "identity_documents")
    assert {one["number"] for one in plain["identity_documents"]} == {
        document["number"] for document, _ in KINDS
    }
    assert plain["id_number"] is None
    async with sessions.read() as session:
        for table in ("identity_document", "history"):
            for row in await session.execute(sa.text(f"SELECT t::text FROM {table} t")):  # noqa: S608
                for document, _ in KINDS:
                    assert document["number"] not in row[0]
    auditor = register.as_role(Role.AUDITOR, VILLAGE)
    records = (await auditor.get(f"/v1/residents/{who['id']}/accesses")).json()["items"]
    assert [one["fields"] for one in records if one["act"] == "look_up"] == [
        ["identity_document"]
    ] * len(KINDS)


async def test_a_number_has_one_owner_in_the_register(
    worker: httpx.AsyncClient, register: App
) -> None:
    await _added(worker, await registered(worker, "张三"), PASSPORT)
    elsewhere = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    other = await registered(elsewhere, "李四")
    for written in ("E12345678", " e1234 5678 ", "Ｅ12345678"):
        answer = await _add(elsewhere, other, {**PASSPORT, "number": written})
        assert refusal(answer) == (409, "resident.id_number_taken"), written
    # Another country's passport of the same number is another document.
    await _added(elsewhere, other, {**PASSPORT, "issuing_country": "fra"})
    assert await found(elsewhere, identity_document=PASSPORT) == []
    # The same digits of another kind are another number.
    card = await registered(worker, "王五", id_number=PERMIT)
    await _added(elsewhere, other, {"kind": "hmt_residence_permit", "number": PERMIT})
    assert [hit["id"] for hit in await found(worker, id_number=PERMIT)] == [card["id"]]


async def test_of_a_kind_one_is_in_use(worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三", id_number=CARD)
    passport = await _added(worker, who, PASSPORT)
    newer = {**PASSPORT, "number": "E87654321"}
    assert refusal(await _add(worker, who, newer)) == (409, "identity_document.kind_held")
    for status in ("lost", "expired", "replaced"):
        assert (await _set(worker, who, passport, status)).json()["status"] == status
    await _added(worker, who, newer)
    again = await _set(worker, who, passport, "valid")
    assert refusal(again) == (409, "identity_document.kind_held")
    # Also who holds an old one is found by it.
    assert [hit["id"] for hit in await found(worker, identity_document=PASSPORT)] == [who["id"]]


async def test_a_lost_card_keeps_its_number_and_a_replaced_one_does_not(
    worker: httpx.AsyncClient,
) -> None:
    who = await registered(worker, "张三", id_number=CARD)
    (card,) = await _held(worker, who)
    for status, shown in (("lost", True), ("expired", True), ("replaced", False), ("valid", True)):
        assert (await _set(worker, who, card, status)).status_code == 200
        row = (await worker.get(f"/v1/residents/{who['id']}")).json()
        assert (row["id_number"] is not None) is shown, status
    await _set(worker, who, card, "replaced")
    other = number("1990-05-01", 6)
    await _added(worker, who, {"kind": "resident_id_card", "number": other})
    assert (await revealed(worker, who["id"]))["id_number"] == other
    assert len(await _held(worker, who)) == 2


async def test_a_card_must_be_the_persons(worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三", birth_date="1990-05-02")
    answer = await _add(worker, who, {"kind": "resident_id_card", "number": CARD})
    assert fault(answer) == ("/birth_date", "birth_date.conflicts_with_id")
    assert await _held(worker, who) == []


async def test_numbers_that_are_none(worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三")
    for document, pointer in (
        ({"kind": "resident_id_card", "number": CARD[:-1] + "Y"}, "/number"),
        ({"kind": "hmt_residence_permit", "number": CARD}, "/number"),
        ({"kind": "foreign_permanent_resident_id", "number": "FR1310190050103"}, "/number"),
        ({"kind": "foreign_permanent_resident_id", "number": "911111199001010010"}, "/number"),
        ({"kind": "passport", "number": "ABCDEF", "issuing_country": "chn"}, "/number"),
        ({"kind": "passport", "number": "E12345678"}, "/issuing_country"),
        ({"kind": "birth_certificate", "number": "P51018200"}, "/number"),
        (
            {"kind": "birth_certificate", "number": "P510182006", "issuing_country": "chn"},
            "/issuing_country",
        ),
        ({"kind": "library_card", "number": "L5501"}, "/kind"),
        ({"kind": "passport", "number": "E12345678", "issuing_country": "xx"}, "/issuing_country"),
    ):
        answer = await _add(worker, who, document)
        assert fault(answer)[0] == pointer, document
        assert document["number"] not in answer.text
    answer = await worker.post(
        "/v1/residents/search", json={"identity_document": {"kind": "passport", "number": "E1"}}
    )
    assert fault(answer)[0] == "/identity_document/issuing_country"


async def test_who_may(worker: httpx.AsyncClient, register: App) -> None:
    who = await registered(worker, "张三")
    added = await _added(worker, who, PASSPORT)
    grid = register.as_role(Role.GRID_WORKER, VILLAGE)
    assert refusal(await _add(grid, who, KINDS[4][0])) == (403, "resident.needs_review")
    assert refusal(await _set(grid, who, added, "lost")) == (403, "resident.needs_review")
    assert await _held(grid, who) == [added]
    outside = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    assert refusal(await _add(outside, who, KINDS[4][0])) == (404, "resident.not_found")
    answer = await _set(worker, who, {"id": str(uuid4())}, "lost")
    assert refusal(answer) == (404, "identity_document.not_found")
    path = f"/v1/residents/{who['id']}/identity-documents/{added['id']}"
    stale = await worker.patch(path, json={"status": "lost"}, headers={"If-Match": '"1"'})
    assert refusal(stale) == (412, "precondition.failed")
    assert refusal(await worker.patch(path, json={"status": "lost"}))[0] == 428


async def test_the_history_says_what_became_of_a_document(worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三")
    await _set(worker, who, await _added(worker, who, PASSPORT), "lost")
    entries = (await worker.get(f"/v1/residents/{who['id']}/history")).json()["items"]
    told = [(e["field"], e["from"], e["to"]) for e in entries if e["entity"] == "identity_document"]
    assert told == [("status", "valid", "lost"), ("identity_documents", None, "E*******8")]
