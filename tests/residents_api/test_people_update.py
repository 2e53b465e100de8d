"""Keeping people's records true: partial updates that overwrite nobody's work."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.feeds import events, position
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

FIRST = number("1990-05-01", 2)
SECOND = number("1985-12-31", 3)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _patched(
    client: httpx.AsyncClient,
    resident: dict[str, Any],
    version: int | str | None = 1,
    **values: Any,
) -> httpx.Response:
    tag = version if isinstance(version, str) else f'"{version}"'
    headers = {} if version is None else {"If-Match": tag}
    return await client.patch(f"/v1/residents/{resident['id']}", json=values, headers=headers)


async def test_an_update_says_what_was_read(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker)
    assert refusal(await _patched(worker, resident, None, occupation="农民")) == (
        428,
        "precondition.required",
    )
    for never_given in ('"2"', 'W/"1"', "**", "1", '"1', '""', '"-1"', '"' + "9" * 30 + '"'):
        answer = await _patched(worker, resident, never_given, occupation="农民")
        assert refusal(answer) == (412, "precondition.failed"), never_given
    answer = await _patched(worker, resident, 1, occupation="农民")
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert "position" in answer.headers
    assert answer.json()["occupation"] == "农民"
    assert answer.json()["version"] == 2
    assert refusal(await _patched(worker, resident, 1, occupation="渔民"))[0] == 412
    shown = await worker.get(f"/v1/residents/{resident['id']}")
    assert (shown.json(), shown.headers["etag"]) == (answer.json(), '"2"')


async def test_of_two_at_once_one_is_told_to_read_again(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker)
    answers = await asyncio.gather(
        *(_patched(worker, resident, 1, occupation=f"第{n}") for n in range(4))
    )
    assert sorted(a.status_code for a in answers) == [200, 412, 412, 412]
    (won,) = [a.json() for a in answers if a.status_code == 200]
    shown = (await worker.get(f"/v1/residents/{resident['id']}")).json()
    assert shown == won
    assert shown["version"] == 2


async def test_absent_is_not_null(worker: httpx.AsyncClient) -> None:
    resident = await registered(
        worker,
        education="primary",
        occupation="农民",
        note="一",
        phones=["13800000000"],
        sex="male",
    )
    kept = await changed(worker, resident["id"], education="undergraduate")
    assert (kept["education"], kept["occupation"], kept["sex"]) == ("undergraduate", "农民", "male")
    assert kept["phones"] == ["138****0000"]
    emptied = await changed(worker, resident["id"], occupation=None, note=None, sex=None)
    assert (emptied["education"], emptied["occupation"]) == ("undergraduate", None)
    assert emptied["sex"] is None
    assert (await revealed(worker, resident["id"], "note"))["note"] is None
    assert (await revealed(worker, resident["id"], "phones"))["phones"] == ["+8613800000000"]


async def test_phones_are_replaced_as_a_whole(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, phones=["13800000001", "13800000002"])
    await changed(worker, resident["id"], phones=["13800000003", "13800000001"])
    assert (await revealed(worker, resident["id"]))["phones"] == [
        "+8613800000003",
        "+8613800000001",
    ]
    assert await found(worker, phone="13800000002") == []
    for nothing in ([], None):
        assert (await changed(worker, resident["id"], phones=nothing))["phones"] == []


async def test_a_number_that_was_not_known_is_added(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, birth_date="1990-01-01", sex="female")
    answer = await _patched(worker, resident, 1, id_number=SECOND)
    assert answer.status_code == 200
    # The number wins over what was on file, as in a ledger.
    assert (answer.json()["sex"], answer.json()["birth_date"]) == ("male", "1985-12-31")
    assert [item["id"] for item in await found(worker, id_number=SECOND)] == [resident["id"]]


async def test_a_number_is_replaced_and_free_again(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, id_number=FIRST)
    updated = await changed(worker, resident["id"], id_number=SECOND)
    assert (updated["sex"], updated["birth_date"]) == ("male", "1985-12-31")
    assert (await revealed(worker, resident["id"]))["id_number"] == SECOND
    assert await found(worker, id_number=FIRST) == []
    other = await registered(worker, "李四", id_number=FIRST)
    assert (await changed(worker, other["id"], id_number=FIRST))["id"] == other["id"]
    answer = await _patched(worker, resident, 2, id_number=FIRST)
    assert refusal(answer) == (409, "resident.id_number_taken")
    assert (await revealed(worker, resident["id"]))["id_number"] == SECOND
    shown = (await worker.get(f"/v1/residents/{resident['id']}")).json()
    assert shown["version"] == 2


async def test_two_cannot_take_one_number_at_once(worker: httpx.AsyncClient) -> None:
    people = [await registered(worker, f"张{n}人") for n in "甲乙丙"]
    answers = await asyncio.gather(*(_patched(worker, who, 1, id_number=FIRST) for who in people))
    assert sorted(a.status_code for a in answers) == [200, 409, 409]
    assert len(await found(worker, id_number=FIRST)) == 1


async def test_the_number_rules_what_follows_from_it(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, id_number=FIRST)
    for values, expected in (
        ({"sex": "male"}, ("/sex", "sex.conflicts_with_id")),
        ({"birth_date": "1990-05-02"}, ("/birth_date", "birth_date.conflicts_with_id")),
        ({"birth_date": "2030-01-01"}, ("/birth_date", "birth_date.in_future")),
        ({"sex": None}, ("/sex", "field.required")),
        ({"birth_date": None}, ("/birth_date", "field.required")),
        ({"id_number": None}, ("/id_number", "field.required")),
        ({"name": None}, ("/name", "field.required")),
        ({"population_type": None}, ("/population_type", "field.required")),
        ({"id_number": SECOND, "sex": "female"}, ("/sex", "sex.conflicts_with_id")),
        ({"id_number": FIRST[:-1]}, ("/id_number", "id_number.length")),
    ):
        assert fault(await _patched(worker, resident, 1, **values)) == expected, values
    same = await _patched(worker, resident, 1, sex="female", birth_date="1990-05-01")
    assert same.status_code == 200


async def test_without_a_number_the_birth_date_stays(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, birth_date="1990-01-01")
    answer = await _patched(worker, resident, 1, birth_date=None)
    assert fault(answer) == ("/birth_date", "identity.missing")
    updated = await changed(worker, resident["id"], birth_date="1991-01-01")
    assert updated["birth_date"] == "1991-01-01"


async def test_a_new_name_is_found_by_its_pinyin(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker, "张三")
    await changed(worker, resident["id"], name="李 四")
    assert (await revealed(worker, resident["id"]))["name"] == "李四"
    assert await found(worker, pinyin="zhangsan") == []
    assert [item["name"] for item in await found(worker, pinyin="lisi")] == ["李*"]


async def test_unknown_fields_and_wrong_values_change_nothing(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker)
    for values, pointer in (
        ({"nickname": "x"}, "/nickname"),
        ({"id": "0198c1a4-0000-7000-8000-000000000000"}, "/id"),
        ({"area_code": NEXT_VILLAGE}, "/area_code"),
        ({"name": "张\u0000"}, "/name"),
        ({"name": "1"}, "/name"),
        ({"birth_date": 0}, "/birth_date"),
        ({"phones": [None]}, "/phones/0"),
        ({"education": "phd"}, "/education"),
        ({"occupation": "x" * 201}, "/occupation"),
    ):
        assert fault(await _patched(worker, resident, 1, **values))[0] == pointer, values
    assert (await worker.get(f"/v1/residents/{resident['id']}")).json() == resident


async def test_who_is_not_mine_does_not_exist(register: App, worker: httpx.AsyncClient) -> None:
    resident = await registered(worker)
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    for client, who in ((stranger, resident), (worker, {"id": uuid4()})):
        for answer in (
            await client.get(f"/v1/residents/{who['id']}"),
            await client.get(f"/v1/residents/{who['id']}/occupancies"),
            await _patched(client, who, 1, occupation="x"),
            await client.post(
                f"/v1/residents/{who['id']}/reveal", json={"purpose": "核实", "fields": ["name"]}
            ),
        ):
            assert refusal(answer) == (404, "resident.not_found")
    for nonsense in ("1", "x" * 5000, "%00", "..%2f", "0198c1a4-0000-7000-8000-00000000000g"):
        answer = await worker.get(f"/v1/residents/{nonsense}")
        assert answer.status_code in (404, 422), nonsense
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await worker.get(f"/v1/residents/{resident['id']}")).json() == resident


async def test_what_is_known_already_changes_nothing(
    register: App, worker: httpx.AsyncClient
) -> None:
    said: dict[str, Any] = {
        "name": "张三",
        "id_number": FIRST,
        "phones": ["13800000001", "13800000002"],
        "population_type": "household_registered",
        "occupation": "农民",
        "education": "primary",
        "sex": "female",
        "birth_date": "1990-05-01",
        "note": None,
    }
    resident = await registered(worker, **said)
    start = await position(register)
    same = [{}, said, {"name": " 张 三 "}, {"phones": ["138 0000 0001", "+8613800000002"]}]
    for values in same:
        answer = await _patched(worker, resident, 1, **values)
        assert (answer.status_code, answer.headers["etag"]) == (200, '"1"'), values
        assert answer.json() == resident
    assert await events(register, start) == []
    assert refusal(await _patched(worker, resident, 2)) == (412, "precondition.failed")
    # The order of the phones is which to call first.
    turned = await _patched(worker, resident, 1, phones=said["phones"][::-1])
    assert (turned.status_code, turned.json()["version"]) == (200, 2)


async def test_whatever_version_there_is(worker: httpx.AsyncClient) -> None:
    resident = await registered(worker)
    for version, occupation in ((2, "农民"), (3, "渔民")):
        answer = await _patched(worker, resident, "*", occupation=occupation)
        assert (answer.status_code, answer.json()["version"]) == (200, version)
    assert refusal(await _patched(worker, {"id": uuid4()}, "*", occupation="农民"))[0] == 404
