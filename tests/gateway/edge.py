"""A gateway that serves on a port, in front of services that do, too."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.common.clock import Clock
from services.common.settings import NeighbourSettings
from services.gateway.main import create_app
from services.gateway.settings import ProxySettings, Settings
from tests.gateway.servers import TOKEN, Upstream, served


@dataclass
class Edge:
    url: str
    client: httpx.AsyncClient
    app: FastAPI


def behind(urls: Mapping[str, str], settings: Settings, **proxy: float) -> Settings:
    """Settings with these upstreams."""
    return settings.model_copy(
        update={
            "upstreams": {
                name: NeighbourSettings(url=url, token=SecretStr(TOKEN))
                for name, url in urls.items()
            },
            "proxy": ProxySettings.model_validate(proxy),
        }
    )


@asynccontextmanager
async def edge(settings: Settings, clock: Clock | None = None) -> AsyncGenerator[Edge]:
    app = create_app(settings, clock=clock)
    async with (
        served(app, lifespan="on") as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Edge(url, client, app)


@asynccontextmanager
async def serving(**upstreams: Upstream) -> AsyncGenerator[dict[str, str]]:
    """Serve upstreams; their URLs by name."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(served(app)) for name, app in upstreams.items()
        }
