"""The gateway's composition root: `uvicorn --factory services.gateway.main:create_app`."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from services.common import application, http
from services.common.application import Check, House, State, Transports
from services.common.clock import Clock
from services.common.database import UNREACHABLE, Sessions
from services.gateway import endpoints
from services.gateway.clients.services import Service
from services.gateway.errors import REFUSALS
from services.gateway.proxy.front import Front
from services.gateway.proxy.upstream import AiohttpClient, UpstreamClient
from services.gateway.repository import sign_ins
from services.gateway.service import events
from services.gateway.service.directory import OWN, Directory
from services.gateway.service.grants import Grants
from services.gateway.service.keys import SigningKeys
from services.gateway.service.passwords import Passwords
from services.gateway.service.throttle import Throttle
from services.gateway.settings import Settings

log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 3600
_CORS_REQUEST_HEADERS = (
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Traceparent",
    "X-Request-ID",
)
_CORS_ANSWER_HEADERS = (
    "Content-Language",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Position",
    "Retry-After",
    "X-Request-ID",
)


class GatewayState(State):
    """What the gateway's requests find in `request.state`."""

    issuer: str
    keys: SigningKeys
    grants: Grants
    directory: Directory
    upstream: UpstreamClient
    base_urls: Mapping[str, str]


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    transports: Transports | None = None,
) -> FastAPI:
    """The gateway. `transports`, by a service's name, stand in for its HTTP address when the
    gateway asks it about itself; what is forwarded always goes to the address.
    """
    settings = settings or Settings.model_validate({})
    keys = SigningKeys(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[GatewayState]:
        async with application.opened(
            OWN,
            settings=settings.database,
            security=settings.security,
            clock=clock,
            snapshot=events.snapshot,
            transports={"gateway": keys.transport, **(transports or {})},
        ) as house:
            directory = await _directory(house, settings, app, transports or {})
            upstream = AiohttpClient(settings.proxy)
            passwords = Passwords(
                threads=settings.sign_in.threads, waiting=settings.sign_in.waiting
            )
            try:
                yield GatewayState(
                    **house.state,
                    issuer=settings.security.issuer,
                    keys=keys,
                    grants=_grants(house, settings, keys, passwords),
                    directory=directory,
                    upstream=upstream,
                    base_urls={
                        name: service.url.rstrip("/")
                        for name, service in settings.upstreams.items()
                    },
                )
            finally:
                passwords.close()
                await upstream.close()

    app = application.build_app(
        name=OWN,
        title="Gateway",
        server=settings.server,
        routers=endpoints.routers,
        lifespan=lifespan,
        refusals=REFUSALS,
        # It refuses what is too large by itself, in a form of its own.
        body_limits={"/oauth/token": settings.proxy.max_body_bytes},
        tags=endpoints.tags,
    )
    app.add_middleware(
        Front, metrics=app.state.metrics, max_body_bytes=settings.proxy.max_body_bytes
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_CORS_REQUEST_HEADERS,
            expose_headers=_CORS_ANSWER_HEADERS,
        )
    return app


async def _directory(
    house: House, settings: Settings, app: FastAPI, transports: Transports
) -> Directory:
    """Learn the routes. Raises RoutesConflict, which stops the start."""
    services = [
        Service(
            name,
            await house.enter(
                http.client(
                    base_url=neighbour.url,
                    token=neighbour.token.get_secret_value(),
                    transport=transports.get(name),
                )
            ),
        )
        for name, neighbour in settings.upstreams.items()
    ]
    directory = Directory(app.openapi(), services, refresh_seconds=settings.proxy.refresh_seconds)
    await directory.refresh()
    house.in_background(directory.run(), name="directory")
    house.in_background(
        _sweep(house.state["sessions"], house.state["clock"], settings), name="sweep"
    )
    for service in services:
        house.state["checks"][service.name] = service.is_ready
        house.state["checks"][f"routes:{service.name}"] = _knows(directory, service.name)
    return directory


def _knows(directory: Directory, service: str) -> Check:
    async def check() -> bool:
        return directory.knows(service)

    return check


def _grants(house: House, settings: Settings, keys: SigningKeys, passwords: Passwords) -> Grants:
    sessions, clock = house.state["sessions"], house.state["clock"]
    return Grants(
        sessions=sessions,
        clock=clock,
        keys=keys,
        passwords=passwords,
        throttle=Throttle(sessions, clock=clock, settings=settings.sign_in),
        security=settings.security,
        settings=settings.sign_in,
    )


async def _sweep(sessions: Sessions, clock: Clock, settings: Settings) -> None:
    window = timedelta(seconds=settings.sign_in.window_seconds)
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            async with sessions.write() as session:
                now = clock.now()
                await sign_ins.sweep(session, now=now, failed_before=now - window)
        except UNREACHABLE as failed:
            log.warning("sign_ins.sweep_failed", error=type(failed).__name__)
