"""Registering people: what is taken, what is refused, and what is said of it."""

import asyncio
from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App, Identity
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

WOMAN = number("1990-05-01", 2)
MAN = number("1971-01-31", 1)
_WHO: dict[str, Any] = {
    "name": "张三",
    "birth_date": "1990-05-01",
    "population_type": "household_registered",
}


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _asked(client: httpx.AsyncClient, **values: Any) -> httpx.Response:
    body = {name: value for name, value in {**_WHO, **values}.items() if value is not ...}
    return await client.post("/v1/residents", json=body)


async def test_a_number_says_sex_and_birth_date(worker: httpx.AsyncClient) -> None:
    answer = await _asked(worker, birth_date=..., id_number=WOMAN)
    assert answer.status_code == 201
    created = answer.json()
    assert created["sex"] == "female"
    assert created["birth_date"] == "1990-05-01"
    assert created["id_number"] == "519" + "*" * 14 + WOMAN[-1]
    assert created["version"] == 1
    assert created["area_code"] == VILLAGE
    assert created["created_at"] == created["updated_at"] == "2026-11-23T04:00:00Z"
    assert answer.headers["location"] == f"/v1/residents/{created['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["position"].startswith("residents_api.")
    again = await worker.get(answer.headers["location"])
    assert again.json() == created
    assert again.headers["etag"] == '"1"'


async def test_everything_that_can_be_said_is_kept(worker: httpx.AsyncClient) -> None:
    traits = {
        "sex": "male",
        "ethnicity": "01",
        "education": "undergraduate",
        "marital_status": "married",
        "political_status": "masses",
        "occupation": "木匠",
    }
    hidden = {
        "employer": "九尺镇家具厂",
        "registered_address": "四川省彭州市九尺镇1号",
        "note": "第一行\n第二行",
    }
    created = await registered(worker, "王小明", **traits, **hidden)
    assert {name: created[name] for name in traits} == traits
    assert hidden.keys().isdisjoint(created)
    shown = await revealed(worker, created["id"], *hidden)
    assert {name: shown[name] for name in hidden} == hidden
    assert shown["name"] is None


async def test_an_old_number_is_upgraded(worker: httpx.AsyncClient) -> None:
    full = number("1975-08-12", 7)
    old = full[:6] + full[8:17]
    created = await registered(worker, id_number=old)
    assert (await revealed(worker, created["id"]))["id_number"] == full
    assert refusal(await _asked(worker, birth_date=..., id_number=full)) == (
        409,
        "resident.id_number_taken",
    )


async def test_numbers_as_people_write_them(worker: httpx.AsyncClient) -> None:
    for written, kept in (
        (f" {WOMAN[:6]} {WOMAN[6:14]} {WOMAN[14:]} ", WOMAN),
        ("".join(chr(ord(c) + 0xFEE0) for c in MAN), MAN),
        (number("1988-11-11", 12).lower(), number("1988-11-11", 12)),
    ):
        created = await registered(worker, id_number=written)
        assert (await revealed(worker, created["id"]))["id_number"] == kept


_NO_IDENTITY: list[tuple[dict[str, Any], str, str]] = [
    ({"birth_date": ...}, "/id_number", "identity.missing"),
    ({"birth_date": None}, "/id_number", "identity.missing"),
    ({"id_number": WOMAN, "sex": "male"}, "/sex", "sex.conflicts_with_id"),
    (
        {"id_number": WOMAN, "birth_date": "1990-05-02"},
        "/birth_date",
        "birth_date.conflicts_with_id",
    ),
    ({"birth_date": "2026-11-24"}, "/birth_date", "birth_date.in_future"),
    ({"id_number": number("2026-11-24")}, "/id_number", "birth_date.in_future"),
    ({"id_number": WOMAN[:-1]}, "/id_number", "id_number.length"),
    ({"id_number": WOMAN[:-1] + "*"}, "/id_number", "id_number.format"),
    (
        {"id_number": WOMAN[:10] + "0230" + WOMAN[14:]},
        "/id_number",
        "id_number.birth_date",
    ),
    (
        {"id_number": WOMAN[:-1] + str((int(WOMAN[-1]) + 1) % 10)},
        "/id_number",
        "id_number.check_digit",
    ),
    ({"id_number": "5.19901990050E+17"}, "/id_number", "id_number.precision_lost"),
]


async def test_an_identity_that_cannot_be_is_refused(worker: httpx.AsyncClient) -> None:
    for values, pointer, code in _NO_IDENTITY:
        given = {"birth_date": ...} | values if "id_number" in values else values
        assert fault(await _asked(worker, **given)) == (pointer, code), values
    assert await found(worker, name="张三") == []


async def test_a_birthday_of_today_is_no_future(worker: httpx.AsyncClient) -> None:
    assert (await registered(worker, birth_date="2026-11-23"))["birth_date"] == "2026-11-23"


async def test_phones_in_all_styles(worker: httpx.AsyncClient) -> None:
    for said, kept, masked in (
        ("13800000000", "+8613800000000", "138****0000"),
        ("138-0000-0000", "+8613800000000", "138****0000"),
        ("+86 138 0000 0000", "+8613800000000", "138****0000"),
        ("１３８００００００００", "+8613800000000", "138****0000"),
        ("(028)83701234", "+862883701234", "028****1234"),
        ("028-83701234", "+862883701234", "028****1234"),
        ("+852 2123 4567", "+85221234567", "+852****4567"),
    ):
        created = await registered(worker, phones=[said])
        assert created["phones"] == [masked], said
        assert (await revealed(worker, created["id"]))["phones"] == [kept], said


async def test_the_same_phone_twice_is_one_and_order_is_kept(worker: httpx.AsyncClient) -> None:
    said = ["13900000002", "13800000001", "139 0000 0002"]
    created = await registered(worker, phones=said)
    shown = await revealed(worker, created["id"])
    assert shown["phones"] == ["+8613900000002", "+8613800000001"]


async def test_a_phone_that_is_none_or_two_is_refused(worker: httpx.AsyncClient) -> None:
    for phone in ["1380000", "电话", "13800000000、13900000000", "\x00", "4008001234", "9" * 40]:
        answer = await _asked(worker, phones=["13800000001", phone])
        assert fault(answer) == ("/phones/1", "phone.invalid"), phone
        assert phone not in answer.json()["errors"][0]["detail"].replace("电话", "")


_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "/name"),
    ({"name": "   "}, "/name"),
    ({"name": "\u200b\u200b"}, "/name"),
    ({"name": "···"}, "/name"),
    ({"name": "12345"}, "/name"),
    ({"name": "无"}, "/name"),
    ({"name": None}, "/name"),
    ({"name": 5}, "/name"),
    ({"name": ["张三"]}, "/name"),
    ({"name": "张" * 61}, "/name"),
    ({"name": "张\u0000三"}, "/name"),
    ({"name": "张\u001b三"}, "/name"),
    ({"occupation": "a\u0000"}, "/occupation"),
    ({"occupation": "x" * 201}, "/occupation"),
    ({"note": "a\u0000b"}, "/note"),
    ({"note": "x" * 4001}, "/note"),
    ({"sex": "man"}, "/sex"),
    ({"sex": 1}, "/sex"),
    ({"education": ""}, "/education"),
    ({"ethnicity": "1"}, "/ethnicity"),
    ({"population_type": None}, "/population_type"),
    ({"population_type": ...}, "/population_type"),
    ({"birth_date": 0}, "/birth_date"),
    ({"birth_date": 10**40}, "/birth_date"),
    ({"birth_date": True}, "/birth_date"),
    ({"birth_date": "631152000"}, "/birth_date"),
    ({"birth_date": "1990-05-01T00:00:00Z"}, "/birth_date"),
    ({"birth_date": "1990-5-1"}, "/birth_date"),
    ({"birth_date": "1990-02-30"}, "/birth_date"),
    ({"birth_date": "0001-01-01"}, "/birth_date"),
    ({"birth_date": "1849-12-31"}, "/birth_date"),
    ({"birth_date": "99999-01-01"}, "/birth_date"),
    ({"id_number": ""}, "/id_number"),
    ({"id_number": 519900199005010028}, "/id_number"),
    ({"id_number": "5" * 41}, "/id_number"),
    ({"phones": "13800000000"}, "/phones"),
    ({"phones": [13800000000]}, "/phones/0"),
    ({"phones": [f"1380000{n:04}" for n in range(11)]}, "/phones"),
    ({"phones": None}, "/phones"),
    ({"area_code": "5"}, "/area_code"),
    ({"area_code": "5101821040060012"}, "/area_code"),
    ({"area_code": "510182104006\n"}, "/area_code"),
    ({"area_code": 510182104006}, "/area_code"),
    ({"nickname": "小三"}, "/nickname"),
    ({"id": "0198c1a4-0000-7000-8000-000000000000"}, "/id"),
    ({"version": 7}, "/version"),
]


async def test_what_cannot_be_is_a_422_with_its_pointer(worker: httpx.AsyncClient) -> None:
    answers = [(values, await _asked(worker, **values), pointer) for values, pointer in _WRONG]
    unexpected = [
        (values, answer.status_code, answer.text)
        for values, answer, pointer in answers
        if answer.status_code != 422 or fault(answer)[0] != pointer
    ]
    assert unexpected == []


async def test_bodies_that_are_none(worker: httpx.AsyncClient) -> None:
    for body, status, code in (
        (b"", 422, "request.invalid"),
        (b"{", 400, "request.malformed"),
        (b"\xff\xfe", 400, "request.malformed"),
        (b"[" * 100_000, 400, "request.malformed"),
        (b"null", 422, "request.invalid"),
        (b"[]", 422, "request.invalid"),
        (b'"x"', 422, "request.invalid"),
        (b'{"name": "\\ud800", "birth_date": "1990-05-01"}', 422, "request.invalid"),
        (b'{"name": ' + b"9" * 5000 + b"}", 400, "request.malformed"),
        (b'{"birth_date": NaN}', 422, "request.invalid"),
        (b'{"name": "' + b"x" * 2_000_000 + b'"}', 413, "request.too_large"),
    ):
        answer = await worker.post(
            "/v1/residents", content=body, headers={"Content-Type": "application/json"}
        )
        assert refusal(answer) == (status, code), body[:40]


async def test_unusual_names_are_kept_and_found(worker: httpx.AsyncClient) -> None:
    for name in [
        "张𠀀",
        "买买提·艾力",
        "Anna Müller",
        "\ue863三",
        "张" + "\U0010ffff",
        "\ud7ff三",
        "🙂三",
    ]:
        created = await registered(worker, name)
        assert (await revealed(worker, created["id"]))["name"] == name
        assert [item["id"] for item in await found(worker, name=name)] == [created["id"]], name
        assert name not in created["name"]


async def test_one_number_is_one_person(worker: httpx.AsyncClient, register: App) -> None:
    await registered(worker, id_number=WOMAN)
    answer = await _asked(worker, birth_date=..., id_number=WOMAN, name="李四")
    assert refusal(answer) == (409, "resident.id_number_taken")
    assert await found(worker, name="李四") == []
    # Somebody else's worker is told no more than that.
    elsewhere = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    answer = await _asked(elsewhere, birth_date=..., id_number=WOMAN)
    assert refusal(answer) == (409, "resident.id_number_taken")
    assert WOMAN not in answer.text


async def test_the_same_number_at_the_same_moment_is_one_person(worker: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(_asked(worker, birth_date=..., id_number=WOMAN, name=f"张{n}人") for n in "甲乙丙丁")
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(await found(worker, id_number=WOMAN)) == 1
    assert len(await found(worker, name="张")) == 1


async def test_a_key_makes_a_repeated_request_one_person(worker: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "a-lost-answer"}
    first, again = [
        await worker.post("/v1/residents", json=_WHO, headers=headers) for _ in range(2)
    ]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(await found(worker, name="张三")) == 1
    other = await worker.post("/v1/residents", json={**_WHO, "name": "李四"}, headers=headers)
    assert refusal(other) == (422, "idempotency_key.reused")


async def test_who_keeps_the_record(register: App) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    assert (await registered(town))["area_code"] == TOWN
    assert (await registered(town, area_code=VILLAGE))["area_code"] == VILLAGE
    grid = f"{VILLAGE}003"
    assert (await registered(town, area_code=grid))["area_code"] == grid
    assert refusal(await _asked(town, area_code="510182105")) == (403, "area.forbidden")
    assert refusal(await _asked(town, area_code="510182")) == (403, "area.forbidden")
    assert fault(await _asked(town, area_code=f"{TOWN}999")) == ("/area_code", "division.unknown")
    assert fault(await _asked(town, area_code=f"{TOWN}999001"))[1] == "division.unknown"


async def test_whose_token_names_no_area_must_say_who_keeps_the_record(
    register: App, identity: Identity
) -> None:
    nobody = register.client(identity.token(Role.COMMUNITY_WORKER, areas=()))
    assert fault(await _asked(nobody)) == ("/area_code", "area.missing")
