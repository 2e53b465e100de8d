"""An import's progress as server-sent events."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.residents_api.models import LedgerImport
from services.residents_api.service import imports
from tests.houses import App
from tests.residents_api.ledgers import ended, person, succeeded, uploaded
from tests.residents_api.people import NEXT_VILLAGE, VILLAGE, number, refusal

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_FOLLOW_SECONDS", 0.01)
    monkeypatch.setattr(imports, "_LOOKS_AT_MOST", 100_000)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def told(client: httpx.AsyncClient, location: str) -> list[dict[str, Any]]:
    """All events of a stream, which must end by itself."""
    async with asyncio.timeout(60), client.stream("GET", f"{location}/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in answer.aiter_lines()]
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_progress_is_told_until_the_end(worker: httpx.AsyncClient, long_ledger: Path) -> None:
    location = await uploaded(worker, long_ledger, name="long.csv")
    events = await told(worker, location)
    last = events[-1]
    assert (last["phase"], last["job"]["state"]) == ("ended", "succeeded")
    assert last["job"] == await ended(worker, location)
    assert [event["phase"] for event in events].count("ended") == 1
    order = ["queued", "reading", "merging", "ended"]
    places = [(order.index(event["phase"]), event["rows_done"]) for event in events[:-1]]
    assert places == sorted(places)
    assert {event["phase"] for event in events} >= {"merging", "ended"}
    assert any(0 < e["rows_done"] < 12_000 for e in events if e["phase"] == "merging")
    # Afterwards it says so at once.
    assert await told(worker, location) == [last]


async def test_a_stream_ends_in_time_though_the_import_does_not(
    worker: httpx.AsyncClient,
    register: App,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "_LOOKS_AT_MOST", 3)
    job = await succeeded(worker, person("张三", number()))
    async with sessions.write() as session:
        await session.execute(
            sa.update(LedgerImport).values(
                state="running", finished_at=None, lease_until=sa.text("'infinity'")
            )
        )
    (event,) = await told(worker, f"/v1/imports/{job['id']}")
    assert event["job"]["state"] == "running"


async def test_imports_of_others_are_followed_by_nobody(
    worker: httpx.AsyncClient, register: App
) -> None:
    job = await succeeded(worker, person("张三", number()))
    other = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    for path in (f"/v1/imports/{job['id']}/events", f"/v1/imports/{new_id()}/events"):
        assert refusal(await other.get(path)) == (404, "import.not_found")
