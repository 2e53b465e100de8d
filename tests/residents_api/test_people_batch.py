"""Residents by id, many at once: in the order asked, masked, and only those of one's own areas."""

from typing import Any

import httpx
import pytest

from services.common.access import Role
from services.common.identifiers import new_id
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.ledgers import person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def city(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.CITY_OFFICER, "510182")


async def _read(client: httpx.AsyncClient, *ids: str) -> dict[str, Any]:
    answer = await client.post("/v1/residents/batch", json={"resident_ids": list(ids)})
    assert answer.status_code == 200, answer.text
    found_: dict[str, Any] = answer.json()
    return found_


async def test_residents_come_in_the_order_asked_once_each_and_masked(
    city: httpx.AsyncClient,
) -> None:
    first = await registered(city, "张三丰", id_number=number(), phones=["13812345678"])
    second = await registered(city, "李四", area_code=VILLAGE)
    unknown = str(new_id())
    answer = await _read(city, second["id"], unknown, first["id"], second["id"])
    assert answer == {"items": [second, first], "not_found": [unknown]}
    assert answer["items"][1]["name"] == "张**"
    assert answer["items"][1]["phones"] == ["138****5678"]


async def test_outside_of_ones_areas_nobody_exists(city: httpx.AsyncClient, register: App) -> None:
    await succeeded(city, person("甲一", number(), grid="1"))
    await succeeded(city, person("乙一", number(sequence=3)), village=NEXT_VILLAGE)
    # One who lives nowhere is seen by who keeps the record.
    kept = (await registered(city, "丁一", area_code=f"{VILLAGE}002"))["id"]
    near, far = [(await found(city, name=name))[0]["id"] for name in ("甲一", "乙一")]
    for areas, names in (
        ([VILLAGE], [near, kept]),
        ([f"{VILLAGE}001"], [near]),
        ([f"{VILLAGE}002"], [kept]),
        ([NEXT_VILLAGE], [far]),
        (["510105"], []),
    ):
        answer = await _read(register.as_role(Role.GRID_WORKER, *areas), near, far, kept)
        assert [item["id"] for item in answer["items"]] == [
            each for each in (near, far, kept) if each in names
        ]
        assert set(answer["not_found"]) == {near, far, kept} - set(names)


async def test_a_hundred_at_most_and_as_many_statements_for_one(city: httpx.AsyncClient) -> None:
    for ids, said in (
        ([], ("/resident_ids", "too_short")),
        ([str(new_id())] * 101, ("/resident_ids", "too_long")),
        (["x"], ("/resident_ids/0", "uuid_parsing")),
    ):
        refused = await city.post("/v1/residents/batch", json={"resident_ids": ids})
        assert fault(refused) == said
    people = [(await registered(city, f"张{n}", birth_date="1990-05-01"))["id"] for n in range(30)]
    counts: list[int] = []
    for some in (people[:1], people):
        with QueryLog() as queries:
            assert len((await _read(city, *some))["items"]) == len(some)
        counts.append(len(queries))
    # The residents, their numbers, their phones.
    assert counts == [3, 3]


async def test_who_may_not_read_residents_reads_no_batch(register: App) -> None:
    for role in (Role.RESIDENT, Role.AUDITOR, Role.ADMIN):
        answer = await register.as_role(role, VILLAGE).post(
            "/v1/residents/batch", json={"resident_ids": [str(new_id())]}
        )
        assert refusal(answer) == (403, "role.forbidden")
