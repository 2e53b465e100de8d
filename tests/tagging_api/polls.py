"""Surveys as tests write, draw and answer them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx

from services.common.access import Role
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import person, residents

WOMEN: dict[str, Any] = {"field": "sex", "op": "eq", "value": "female"}
NEED: dict[str, Any] = {
    "key": "need",
    "kind": "single",
    "text": "您需要孕妇学校吗？",
    "options": [{"code": "yes", "text": "需要"}, {"code": "no", "text": "不需要"}],
}
TOPICS: dict[str, Any] = {
    "key": "topics",
    "kind": "multiple",
    "text": "您想听什么？",
    "required": False,
    "options": [
        {"code": "food", "text": "营养"},
        {"code": "birth", "text": "分娩"},
        {"code": "baby", "text": "育儿"},
    ],
}
CHILDREN: dict[str, Any] = {
    "key": "children",
    "kind": "number",
    "text": "您有几个孩子？",
    "required": False,
    "minimum": 0,
    "maximum": 15,
}
REMARKS: dict[str, Any] = {
    "key": "remarks",
    "kind": "text",
    "text": "还有什么建议？",
    "required": False,
}
POLL: dict[str, Any] = {
    "name": "孕妇学校需求入户调查",
    "topic": "pregnancy_class",
    "rule": WOMEN,
    "questions": [NEED, TOPICS, CHILDREN, REMARKS],
}


class Worker:
    """Somebody with an account, responsible for areas."""

    def __init__(self, town: Town, role: Role, *areas: str) -> None:
        self.account = uuid4()
        self.areas = areas
        self.client = town.tagging.as_role(role, *areas, sub=f"account:{self.account}")

    @property
    def assignee(self) -> dict[str, Any]:
        return {"account": str(self.account), "areas": list(self.areas)}


async def settle(town: Town, people: Sequence[dict[str, Any]]) -> None:
    """Many residents: an event has a thousand at most."""
    events = [residents(*people[start : start + 1000]) for start in range(0, len(people), 1000)]
    await town.arrived(town.register, *events)


def women(n: int, **more: Any) -> list[dict[str, Any]]:
    return [person(sex="female", **more) for _ in range(n)]


async def written(client: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
    answer = await client.post("/v1/surveys", json=POLL | change)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def drawn(
    client: httpx.AsyncClient,
    n: int,
    *,
    assignees: Sequence[dict[str, Any]] = (),
    seed: int = 0,
    **change: Any,
) -> str:
    """A survey with its sample drawn; its id."""
    survey = await written(client, **change)
    asked = {"n": n, "seed": seed, "assignees": list(assignees)}
    answer = await client.post(f"/v1/surveys/{survey['id']}/draw", json=asked)
    assert answer.status_code == 200, answer.text
    return str(survey["id"])


async def visits(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    """Every visit that the client is shown."""
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = {"page_size": 200, **params} | ({"page_token": token} if token else {})
        answer = await client.get("/v1/visits", params=page)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body["items"]
        if (token := body["next_page_token"]) is None:
            return found


async def answered(
    client: httpx.AsyncClient, visit_id: str, state: str = "done", **answers: Any
) -> httpx.Response:
    body: dict[str, Any] = {"state": state} | ({"answers": answers} if answers else {})
    return await client.post(f"/v1/visits/{visit_id}/answers", json=body)


async def results(client: httpx.AsyncClient, survey_id: str | UUID) -> dict[str, Any]:
    answer = await client.get(f"/v1/surveys/{survey_id}/results")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
