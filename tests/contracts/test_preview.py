"""Members of an audience are shown by the register, as it shows them to whoever asks."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from services.common.access import Role
from tests.contracts.conftest import Town
from tests.queries import QueryLog
from tests.residents_api.ledgers import VILLAGE, imported

EVERYBODY = {"area": VILLAGE}
VOLUNTEERS = {"tag": "volunteer"}


async def inhabited(town: Town, data: Path) -> None:
    """The ledger of a village, read and counted."""
    worker = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    job = await imported(worker, data / "ledger_jinsha.xlsx")
    officer = town.tagging.as_role(Role.TOWN_OFFICER, VILLAGE)
    asked = {"rule": EVERYBODY, "min_position": job["position"]}
    async with asyncio.timeout(20):
        while (await officer.post("/v1/audiences/count", json=asked)).status_code != 200:
            await asyncio.sleep(0.05)


async def page(client: httpx.AsyncClient, rule: Any, **asked: Any) -> dict[str, Any]:
    answer = await client.post("/v1/audiences/preview", json={"rule": rule, **asked})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def everyone(client: httpx.AsyncClient, rule: Any, size: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token = None
    while True:
        found = await page(client, rule, page_size=size, page_token=token)
        items += found["items"]
        token = found["next_page_token"]
        assert len(found["items"]) <= size
        if token is None:
            return items


async def test_members_are_shown_page_by_page_and_masked(town: Town, data: Path) -> None:
    await inhabited(town, data)
    officer = town.tagging.as_role(Role.TOWN_OFFICER, VILLAGE)
    # 208 people: pages of 100 at most, whatever is asked.
    everybody = await everyone(officer, EVERYBODY, 100)
    assert len(everybody) == len({item["id"] for item in everybody}) == 208
    assert len((await page(officer, EVERYBODY, page_size=5_000))["items"]) == 100
    assert len((await page(officer, EVERYBODY))["items"]) == 50
    assert all("*" in item["name"] for item in everybody)
    register = town.register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    shown = (await register.get(f"/v1/residents/{everybody[0]['id']}")).json()
    assert everybody[0] == {
        name: shown[name] for name in ("id", "name", "sex", "birth_date", "area_code")
    }
    volunteers = await everyone(officer, VOLUNTEERS, 7)
    bearers = (await officer.get("/v1/tag-assignments", params={"tag": "volunteer"})).json()
    assert {item["id"] for item in volunteers} == {item["resident_id"] for item in bearers["items"]}
    # A page of one rule's members is none of another's.
    token = (await page(officer, EVERYBODY))["next_page_token"]
    answer = await officer.post(
        "/v1/audiences/preview", json={"rule": VOLUNTEERS, "page_token": token}
    )
    assert answer.json()["errors"][0]["pointer"] == "/page_token"


async def test_the_caller_sees_what_they_would_see_in_the_register(town: Town, data: Path) -> None:
    await inhabited(town, data)
    elsewhere = town.tagging.as_role(Role.TOWN_OFFICER, "510182001")
    assert (await page(elsewhere, EVERYBODY))["items"] == []
    grid = town.tagging.as_role(Role.GRID_WORKER, f"{VILLAGE}001")
    listed = town.register.as_role(Role.GRID_WORKER, f"{VILLAGE}001")
    theirs = await everyone(grid, EVERYBODY, 30)
    found = (await listed.get("/v1/residents", params={"page_size": 200})).json()["items"]
    assert {item["id"] for item in theirs} == {item["id"] for item in found}
    # Who may count, but may not read residents.
    narrow = town.tagging.as_role(Role.CLIENT, VILLAGE, scope="audiences.count")
    answer = await narrow.post("/v1/audiences/preview", json={"rule": EVERYBODY})
    assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")


async def test_one_page_is_one_question_to_the_register(town: Town, data: Path) -> None:
    await inhabited(town, data)
    officer = town.tagging.as_role(Role.TOWN_OFFICER, VILLAGE)
    counts: list[int] = []
    for size in (2, 90):
        with QueryLog() as queries:
            await page(officer, EVERYBODY, page_size=size)
        counts.append(len(queries))
    assert counts[0] == counts[1]


async def test_a_few_of_a_sensitive_rule_are_not_shown(town: Town, data: Path) -> None:
    await inhabited(town, data)
    officer = town.tagging.as_role(Role.TOWN_OFFICER, VILLAGE)
    some = [item["id"] for item in (await page(officer, EVERYBODY, page_size=5))["items"]]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    bearers = {"all": [{"tag": "disability", "source": "worker"}, EVERYBODY]}
    for some_of_them, shown in ((some[:4], 0), (some[4:], 5)):
        await worker.post(
            "/v1/tag-assignments", json={"tag": "disability", "resident_ids": some_of_them}
        )
        async with asyncio.timeout(10):
            while len((await page(officer, bearers))["items"]) not in {4, 5}:
                await asyncio.sleep(0.05)
        found = await page(worker, bearers)
        assert (len(found["items"]), found["suppressed"]) == (shown, shown == 0)
        assert (await page(officer, bearers))["suppressed"] is False
