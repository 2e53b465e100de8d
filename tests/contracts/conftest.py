"""Neighbours as they are: each service's real app, and another's real app as its transport."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from services.common.settings import DatabaseSettings, NeighbourSettings
from services.gateway.main import create_app as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.reports_api.main import create_app as create_reports
from services.reports_api.settings import Settings as ReportsSettings
from services.residents_api.main import create_app as create_register
from services.residents_api.service import areas
from services.residents_api.settings import Settings as RegisterSettings
from services.tagging_api.main import create_app as create_tagging
from services.tagging_api.settings import Settings as TaggingSettings
from tests.conftest import Database, FixedClock
from tests.houses import SERVICE_TOKEN, App, Identity, KeysAndFeed, opened

_NEIGHBOUR = NeighbourSettings(url="http://neighbour.test", token=SecretStr(SERVICE_TOKEN))


@dataclass(frozen=True, slots=True)
class Town:
    """The services, following each other's feeds."""

    register: App
    reports: App
    tagging: App
    gateway: App


@pytest.fixture
async def town(
    db: Database, identity: Identity, clock: FixedClock, tmp_path: Path
) -> AsyncGenerator[Town]:
    def on(service: str) -> DatabaseSettings:
        return DatabaseSettings(url=SecretStr(db.urls[service]), pool_size=4)

    keys = {"gateway": identity.transport}
    async with AsyncExitStack() as stack:
        register = await stack.enter_async_context(
            opened(
                create_register(
                    RegisterSettings(
                        database=on("residents_api"),
                        security=identity.security,
                        encryption_keys={1: SecretStr("11" * 32)},
                        index_key=SecretStr("22" * 32),
                        ledger_directory=tmp_path / "ledgers",
                    ),
                    clock=clock,
                    transports=keys,
                ),
                identity,
            )
        )
        async with register.state["sessions"].write() as session:
            await areas.load_divisions(session)
        await register.state["publisher"].publish()
        reports = await stack.enter_async_context(
            opened(
                create_reports(
                    ReportsSettings(
                        database=on("reports_api"),
                        security=identity.security,
                        residents=_NEIGHBOUR,
                        photo_store=f"file://{tmp_path}/photos",
                    ),
                    clock=clock,
                    transports={**keys, "residents_api": register.transport},
                ),
                identity,
            )
        )
        gateway = await stack.enter_async_context(
            opened(
                create_gateway(
                    GatewaySettings(
                        database=on("gateway"),
                        security=identity.security,
                        signing_key=SecretStr(
                            json.dumps(
                                OKPKey.generate_key("Ed25519", {"kid": "g"}).as_dict(private=True)
                            )
                        ),
                        upstreams={},
                    ),
                    clock=clock,
                ),
                identity,
            )
        )
        tagging = await stack.enter_async_context(
            opened(
                create_tagging(
                    TaggingSettings(
                        database=on("tagging_api"),
                        security=identity.security,
                        residents=_NEIGHBOUR,
                        reports=_NEIGHBOUR,
                        gateway=_NEIGHBOUR,
                        sealing_key=SecretStr("33" * 32),
                    ),
                    clock=clock,
                    transports={
                        "gateway": KeysAndFeed(identity.transport, gateway.transport),
                        "residents_api": register.transport,
                        "reports_api": reports.transport,
                    },
                ),
                identity,
            )
        )
        yield Town(register, reports, tagging, gateway)
