"""Divisions and compounds."""

from services.common.access import Role
from tests.houses import App


async def test_divisions_need_a_token(register: App) -> None:
    answer = await register.client().get("/v1/divisions")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "token.missing"


async def test_no_divisions_are_an_empty_page(register: App) -> None:
    answer = await register.as_role(Role.AUDITOR).get("/v1/divisions")
    assert answer.status_code == 200
    assert answer.json() == {"items": [], "next_page_token": None}


async def test_an_area_outside_is_refused(register: App) -> None:
    worker = register.as_role(Role.COMMUNITY_WORKER, "510182104006")
    answer = await worker.get("/v1/compounds", params={"area": "510182104001"})
    assert (answer.status_code, answer.json()["code"]) == (403, "area.forbidden")


async def test_an_area_that_is_none_is_refused(register: App) -> None:
    answer = await register.as_role(Role.CITY_OFFICER).get("/v1/compounds", params={"area": "5"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/query/area", "code": "area.malformed", "detail": "不是有效的区域"}
    ]
