"""The reports, open on a database of their own, following a small register."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from services.common.access import Role
from services.common.settings import DatabaseSettings, NeighbourSettings
from services.reports_api.main import create_app
from services.reports_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import SERVICE_TOKEN, App, Identity, opened
from tests.reports_api.register import COMPOUND, JINSHA, Register

RESIDENT_ID = UUID("0197a000-0000-7000-8000-00000000000a")


@pytest.fixture
def settings(db: Database, identity: Identity, tmp_path: Path) -> Settings:
    return Settings(
        database=DatabaseSettings(url=SecretStr(db.urls["reports_api"]), pool_size=4),
        security=identity.security,
        residents=NeighbourSettings(url="http://register.test", token=SecretStr(SERVICE_TOKEN)),
        photo_store=f"file://{tmp_path}/photos of reports",
    )


@pytest.fixture
def register() -> Register:
    return Register()


@pytest.fixture
async def neighbour(register: Register, db: Database, identity: Identity) -> AsyncGenerator[App]:
    async with opened(register.app(db, identity), identity) as open_app:
        yield open_app


@pytest.fixture
async def reports(
    settings: Settings, identity: Identity, clock: FixedClock, neighbour: App
) -> AsyncGenerator[App]:
    app = create_app(
        settings,
        clock=clock,
        transports={"gateway": identity.transport, "residents_api": neighbour.transport},
    )
    async with opened(app, identity) as open_app:
        await ready(open_app)
        yield open_app


async def ready(app: App) -> None:
    async with asyncio.timeout(20), app.client() as client:
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)


@pytest.fixture
def resident(reports: App) -> httpx.AsyncClient:
    """Lives in the compound."""
    return reports.as_role(
        Role.RESIDENT, str(COMPOUND), sub="account:resident", resident_id=RESIDENT_ID
    )


@pytest.fixture
def worker(reports: App) -> httpx.AsyncClient:
    """The community worker of the village that the compound lies in."""
    return reports.as_role(Role.COMMUNITY_WORKER, JINSHA, sub="account:worker")


def form(**fields: Any) -> dict[str, Any]:
    return {"category": "environment", "text": "垃圾没有人清运", **fields}


async def posted(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """File a report and return it."""
    answer = await client.post("/v1/reports", data=form(**fields))
    assert answer.status_code == 201, answer.text
    return answer.json()
