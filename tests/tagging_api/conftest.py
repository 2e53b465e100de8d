"""Labels and targeting, open on a database of its own, with neighbours that have real feeds."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.common import database, projection
from services.common.access import Role
from services.common.database import Sessions
from services.common.outbox import Event
from services.common.positions import PositionNotReached
from services.common.settings import DatabaseSettings, NeighbourSettings
from services.tagging_api.main import create_app
from services.tagging_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import SERVICE_TOKEN, App, Identity, KeysAndFeed, opened
from tests.tagging_api.neighbours import Neighbour, neighbour, residents


@pytest.fixture
def settings(db: Database, identity: Identity, tmp_path: Path) -> Settings:
    return Settings(
        database=DatabaseSettings(url=SecretStr(db.urls["tagging_api"]), pool_size=4),
        security=identity.security,
        residents=NeighbourSettings(url="http://residents.test", token=SecretStr(SERVICE_TOKEN)),
        reports=NeighbourSettings(url="http://reports.test", token=SecretStr(SERVICE_TOKEN)),
        gateway=NeighbourSettings(url="http://gateway.test", token=SecretStr(SERVICE_TOKEN)),
        sealing_key=SecretStr("33" * 32),
        outbox_directory=tmp_path / "outbox",
        campaign_batch_size=50,
    )


@pytest.fixture
async def alone(settings: Settings) -> AsyncGenerator[Sessions]:
    """The service's database without the service: nothing runs in the background."""
    engine = database.engine(settings.database, application="test")
    yield database.sessions(engine)
    await engine.dispose()


@pytest.fixture
async def register(
    db: Database, identity: Identity, clock: FixedClock
) -> AsyncGenerator[Neighbour]:
    async with neighbour("residents_api", db, identity, clock) as opened_neighbour:
        yield opened_neighbour


@pytest.fixture
async def reports(db: Database, identity: Identity, clock: FixedClock) -> AsyncGenerator[Neighbour]:
    async with neighbour("reports_api", db, identity, clock) as opened_neighbour:
        yield opened_neighbour


@pytest.fixture
async def accounts(
    db: Database, identity: Identity, clock: FixedClock
) -> AsyncGenerator[Neighbour]:
    """The gateway, as far as it has a feed."""
    async with neighbour("gateway", db, identity, clock) as opened_neighbour:
        yield opened_neighbour


@pytest.fixture
async def tagging(
    settings: Settings,
    identity: Identity,
    clock: FixedClock,
    register: Neighbour,
    reports: Neighbour,
    accounts: Neighbour,
) -> AsyncGenerator[App]:
    transports = {
        "gateway": KeysAndFeed(identity.transport, accounts.open.transport),
        "residents_api": register.open.transport,
        "reports_api": reports.open.transport,
    }
    app = create_app(settings, clock=clock, transports=transports)
    async with opened(app, identity) as open_app:
        yield open_app


class Town:
    """The service and its neighbours together."""

    def __init__(self, tagging: App, register: Neighbour, reports: Neighbour) -> None:
        self.tagging = tagging
        self.register = register
        self.reports = reports

    async def arrived(self, source: Neighbour, *events: Event) -> str:
        """Let a neighbour say something, and wait until it is known here."""
        position = await source.say(*events)
        for _ in range(30):  # a second each, on a machine that may be busy
            with contextlib.suppress(PositionNotReached):
                await projection.reach(self.tagging.state["followers"], position, own="tagging_api")
                await self.tagging.state["targeting"].caught_up()
                return position
        raise AssertionError("the neighbour's event did not arrive")

    async def live_here(self, *states: Mapping[str, Any]) -> None:
        await self.arrived(self.register, residents(*states))

    async def count(self, rule: dict[str, Any], *areas: str, role: Role = Role.CITY_OFFICER) -> int:
        """With all that is committed: tests do not carry positions about."""
        await self.tagging.state["targeting"].caught_up()
        answer = await self.tagging.as_role(role, *areas).post(
            "/v1/audiences/count", json={"rule": rule}
        )
        assert answer.status_code == 200, answer.text
        found: int = answer.json()["count"]
        return found

    async def bearers(self, tag: str) -> set[str]:
        """Who bears a tag, as the whole city sees it."""
        answer = await self.tagging.as_role(Role.CITY_OFFICER).get(
            "/v1/tag-assignments", params={"tag": tag}
        )
        assert answer.status_code == 200, answer.text
        return {item["resident_id"] for item in answer.json()["items"]}


@pytest.fixture
async def town(tagging: App, register: Neighbour, reports: Neighbour) -> Town:
    made = Town(tagging, register, reports)
    # Both snapshots, empty as they are, have been read.
    await made.arrived(register, residents())
    await made.arrived(reports, Event("cn.shequ.reports.report.changed", {"reports": []}))
    return made
