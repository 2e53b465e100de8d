"""Divisions, compounds and code lists: they name nobody, and every account may read them."""

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.ledgers import COMPOUND, all_items, person, succeeded
from tests.residents_api.people import NEXT_VILLAGE, TOWN, VILLAGE, fault, number, refusal


async def test_divisions_need_a_token(register: App) -> None:
    answer = await register.client().get("/v1/divisions")
    assert refusal(answer) == (401, "token.missing")


async def test_no_divisions_are_an_empty_page(register: App) -> None:
    answer = await register.as_role(Role.AUDITOR).get("/v1/divisions")
    assert answer.status_code == 200
    assert answer.json() == {"items": [], "next_page_token": None}


async def test_an_area_outside_is_refused(register: App) -> None:
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    answer = await worker.get("/v1/compounds", params={"area": NEXT_VILLAGE})
    assert refusal(answer) == (403, "area.forbidden")


async def test_an_area_that_is_none_is_refused(register: App) -> None:
    answer = await register.as_role(Role.CITY_OFFICER).get("/v1/compounds", params={"area": "5"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/query/area", "code": "area.malformed", "detail": "不是有效的区域"}
    ]


@pytest.mark.usefixtures("divisions")
async def test_divisions_are_a_tree(register: App) -> None:
    client = register.as_role(Role.RESIDENT)

    async def below(code: str | None) -> list[str]:
        params = {"page_size": 3} | ({"parent_code": code} if code else {})
        return [item["code"] async for item in all_items(client, "/v1/divisions", **params)]

    codes: list[str] = []
    parents: list[str | None] = [None]
    while parents:
        children = await below(parents.pop())
        codes += children
        parents += children
    assert len(codes) == len(set(codes)) == 218
    assert await below(TOWN) == sorted(code for code in codes if code.startswith(f"{TOWN}"))[1:]
    assert await below(VILLAGE) == []
    town = [i async for i in all_items(client, "/v1/divisions", parent_code="510182")]
    assert {"code": TOWN, "name": "九尺镇", "level": "town", "parent_code": "510182"} in town
    for nonsense in ("x", "5", "5" * 13, "51\x00", "５１"):
        answer = await client.get("/v1/divisions", params={"parent_code": nonsense})
        assert fault(answer)[0] == "/query/parent_code", nonsense


@pytest.mark.usefixtures("divisions")
async def test_compounds_of_an_area(register: App) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    for village, compounds in ((VILLAGE, (COMPOUND, "清泉花园")), (NEXT_VILLAGE, (COMPOUND,))):
        people = [
            person("张三", number(sequence=n), compound=name) for n, name in enumerate(compounds, 1)
        ]
        await succeeded(town, *people, village=village)

    async def listed(client: httpx.AsyncClient, **params: str) -> list[tuple[str, str]]:
        found = all_items(client, "/v1/compounds", page_size=1, **params)
        return sorted([(item["village_code"], item["name"]) async for item in found])

    mine = [(VILLAGE, "清泉花园"), (VILLAGE, COMPOUND)]
    assert await listed(town) == [(NEXT_VILLAGE, COMPOUND), *mine]
    assert await listed(town, area=VILLAGE) == mine
    assert await listed(register.as_role(Role.RESIDENT, VILLAGE)) == mine
    assert await listed(register.as_role(Role.GRID_WORKER, f"{VILLAGE}001")) == []
    ids = {item["name"]: item["id"] async for item in all_items(town, "/v1/compounds")}
    garden = ids["清泉花园"]
    assert await listed(register.as_role(Role.GRID_WORKER, garden)) == mine[:1]


async def test_code_lists_say_what_codes_mean(register: App) -> None:
    client = register.as_role(Role.ADMIN)
    index = (await client.get("/v1/code-lists")).json()
    assert index["next_page_token"] is None
    names = {item["name"] for item in index["items"]}
    assert {"sex", "ethnicity", "education", "relation_to_head", "tenure"} <= names
    for name in names:
        shown = (await client.get(f"/v1/code-lists/{name}")).json()
        codes = [item["code"] for item in shown["items"]]
        assert len(codes) == len(set(codes)) > 2
        assert all(item["name_zh"] and item["name_en"] for item in shown["items"])
    for nonsense in ("x", "SEX", "%00"):
        assert refusal(await client.get(f"/v1/code-lists/{nonsense}")) == (
            404,
            "code_list.not_found",
        )
    assert fault(await client.get("/v1/code-lists/" + "x" * 61))[0] == "/path/name"
