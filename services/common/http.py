"""The client for calls between services. The one place that knows which library does it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from httpx_aiohttp import AiohttpTransport

from services.common import telemetry
from services.common.settings import NeighbourSettings


async def _carry_on(request: httpx.Request) -> None:
    for name, value in telemetry.outgoing_headers().items():
        request.headers.setdefault(name, value)


def client(
    *,
    base_url: str = "",
    token: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client that passes on request id and traceparent.

    `transport` lets a contract test put a neighbour's real app in the neighbour's place.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {token}"} if token else None,
        transport=transport or AiohttpTransport(),
        timeout=httpx.Timeout(10.0, connect=2.0),
        event_hooks={"request": [_carry_on]},
        follow_redirects=False,
    )


@asynccontextmanager
async def neighbour(settings: NeighbourSettings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of one neighbour, presenting this service's token there."""
    async with client(base_url=settings.url, token=settings.token.get_secret_value()) as opened:
        yield opened
