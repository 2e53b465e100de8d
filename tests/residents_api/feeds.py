"""What the register tells its neighbours."""

from typing import Any

from tests.houses import App

RESIDENT_CHANGED = "cn.shequ.residents.resident.changed"
AREA_CHANGED = "cn.shequ.residents.area.changed"


async def position(register: App) -> str:
    """Where the feed stands now."""
    answer = await register.as_service().get("/internal/snapshot", params={"after": "f" * 32})
    assert answer.status_code == 200, answer.text
    return answer.json()["position"]


async def events(register: App, after: str) -> list[dict[str, Any]]:
    """Every event since a position."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await register.as_service().get("/internal/feed", params={"after": after})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["events"]
        if not page["events"] or page["next"] == page["head"]:
            return found
        after = page["next"]


async def states(register: App, after: str) -> list[dict[str, Any]]:
    """The residents' states told since a position, in order."""
    return [
        state
        for event in await events(register, after)
        if event["type"] == RESIDENT_CHANGED
        for state in event["data"]["residents"]
    ]


async def areas_told(register: App, after: str) -> list[dict[str, Any]]:
    return [
        area
        for event in await events(register, after)
        if event["type"] == AREA_CHANGED
        for area in event["data"]["areas"]
    ]


async def snapshot(register: App) -> dict[str, list[dict[str, Any]]]:
    """Everything that a neighbour is told who starts: states by type."""
    found: dict[str, list[dict[str, Any]]] = {RESIDENT_CHANGED: [], AREA_CHANGED: []}
    params: dict[str, str] = {}
    while True:
        page = (await register.as_service().get("/internal/snapshot", params=params)).json()
        for item in page["items"]:
            (states_told,) = item["data"].values()
            found[item["type"]] += states_told
        if page["next"] is None:
            return found
        params = {"after": page["next"]}
