"""Guardians of minors."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.domain import ages
from tests.conftest import FixedClock
from tests.houses import App
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    fault,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

AUNT = {"relation": "other_relative", "name": "李阿姨", "phone": "13912345678"}


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _add(
    client: httpx.AsyncClient, child: dict[str, Any], guardian: dict[str, Any]
) -> httpx.Response:
    return await client.post(f"/v1/residents/{child['id']}/guardians", json=guardian)


async def _held(client: httpx.AsyncClient, child: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (
        await client.get(f"/v1/residents/{child['id']}/guardians")
    ).json()["items"]
    return items


async def test_a_resident_or_a_name_and_a_phone(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    child = await registered(worker, "小明", birth_date="2020-01-01")
    father = await registered(worker, "张大山")
    one = await _add(worker, child, {"relation": "father", "resident_id": father["id"]})
    assert one.status_code == 201, one.text
    two = await _add(worker, child, AUNT)
    assert await _held(worker, child) == [one.json(), two.json()]
    assert one.json() | {"id": None} == {
        "id": None,
        "relation": "father",
        "resident_id": father["id"],
        "name": "张**",
        "phone": None,
    }
    assert (two.json()["name"], two.json()["phone"]) == ("李**", "139****5678")
    plain = await revealed(worker, child["id"], "guardians")
    assert [(g["name"], g["phone"]) for g in plain["guardians"]] == [
        (None, None),
        ("李阿姨", "+8613912345678"),
    ]
    gone = await worker.delete(f"/v1/residents/{child['id']}/guardians/{two.json()['id']}")
    assert gone.status_code == 204
    again = await worker.delete(f"/v1/residents/{child['id']}/guardians/{two.json()['id']}")
    assert refusal(again) == (404, "guardian.not_found")
    async with sessions.read() as session:
        for table in ("guardian", "history", "outbox"):
            for row in await session.execute(sa.text(f"SELECT t::text FROM {table} t")):  # noqa: S608
                for secret in ("李阿姨", "13912345678", "李阿姨".encode().hex()):
                    assert secret not in row[0]
    history = await worker.get(f"/v1/residents/{child['id']}/history")
    assert "李阿姨" not in history.text
    told = [(e["op"], e["field"], e["from"]) for e in history.json()["items"]
            if e["entity"] == "guardian"]  # fmt: skip
    assert told[:2] == [("deleted", "relation", "other_relative"), ("deleted", "contact", "***")]


async def test_only_minors_and_only_by_others(worker: httpx.AsyncClient, register: App) -> None:
    child = await registered(worker, "小明", birth_date="2008-11-24")  # 18 tomorrow
    adult = await registered(worker, "大明", birth_date="2008-11-23")
    brother = await registered(worker, "小红", birth_date="2010-01-01")
    outside = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    stranger = await registered(outside, "外村人")
    assert refusal(await _add(worker, adult, AUNT)) == (409, "guardian.not_a_minor")
    for who, code in (
        (child["id"], "guardian.not_adult"),
        (brother["id"], "guardian.not_adult"),
        (stranger["id"], "resident.not_found"),
        (str(uuid4()), "resident.not_found"),
    ):
        answer = await _add(worker, child, {"relation": "father", "resident_id": who})
        assert fault(answer) == ("/resident_id", code)
    for body in (
        {"relation": "father"},
        {"relation": "father", "name": "李四"},
        {**AUNT, "resident_id": adult["id"]},
    ):
        assert fault(await _add(worker, child, body))[1] == "guardian.unclear"
    assert fault(await _add(worker, child, {**AUNT, "phone": "1"})) == ("/phone", "phone.invalid")
    father = {"relation": "father", "resident_id": adult["id"]}
    assert (await _add(worker, child, father)).status_code == 201
    assert refusal(await _add(worker, child, father)) == (409, "guardian.exists")
    for _ in range(4):
        assert (await _add(worker, child, AUNT)).status_code == 201
    assert refusal(await _add(worker, child, AUNT)) == (409, "guardian.too_many")
    assert refusal(await _add(outside, child, AUNT)) == (404, "resident.not_found")


def test_ages_in_whole_years(clock: FixedClock) -> None:
    day = clock.now().date()
    leap = day.replace(year=2008, month=2, day=29)
    assert ages.age(leap, on=day.replace(year=2026, month=2, day=28)) == 17
    assert ages.age(leap, on=day.replace(year=2026, month=3, day=1)) == 18
    assert not ages.is_minor(None, on=day)
