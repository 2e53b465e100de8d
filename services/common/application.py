"""How every service is put together: the same parts in each, in the same order."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypedDict

import httpx
import structlog
from fastapi import APIRouter, Depends, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common import contract, database, errors, feed, http, idempotency, outbox, telemetry
from services.common.clock import Clock, SystemClock
from services.common.database import UNREACHABLE, Notifications, Sessions
from services.common.problems import Problem, TooLarge
from services.common.projection import Follower, Projection
from services.common.routing import UnitOfWorkRoute, public, refuse_unguarded
from services.common.schemas import Schema
from services.common.security import TokenVerifier, service_caller
from services.common.settings import (
    DatabaseSettings,
    NeighbourSettings,
    SecuritySettings,
    ServerSettings,
)

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
Transports = Mapping[str, httpx.AsyncBaseTransport]


class State(TypedDict):
    """What a request finds in `request.state`. Services add keys of their own."""

    sessions: Sessions
    clock: Clock
    verifier: TokenVerifier
    publisher: outbox.Publisher
    feed: feed.Feed | None
    followers: Sequence[Follower]
    keeps_history: bool
    service_tokens: dict[str, str]
    checks: dict[str, Check]


@dataclass(slots=True)
class House:
    """An open service: what its requests share, and the background work that lives as long."""

    name: str
    state: State
    database: DatabaseSettings
    _stack: AsyncExitStack = field(repr=False)

    def in_background(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run until the service closes. Work that fails ends the process: its supervisor starts it
        again, which is better than a service that lacks a limb and says it is well.
        """
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_end_process_on_failure)
        self._stack.push_async_callback(_cancel, task)

    async def enter(self, manager: AbstractAsyncContextManager[Any]) -> Any:
        """Keep something open until the service closes."""
        return await self._stack.enter_async_context(manager)


def _end_process_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (failed := task.exception()) is not None:
        telemetry.log_unforeseen(failed)
        os.kill(os.getpid(), signal.SIGTERM)


async def _cancel(task: asyncio.Task[None]) -> None:
    # More than once: a statement that is cancelled may fail as if its connection were lost, and
    # work that outlives lost connections goes on.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


@asynccontextmanager
async def opened(
    name: str,
    *,
    settings: DatabaseSettings,
    security: SecuritySettings,
    clock: Clock | None = None,
    snapshot: feed.Snapshot | None = None,
    keeps_history: bool = False,
    transports: Transports | None = None,
) -> AsyncGenerator[House]:
    """Open the parts that every service has.

    `snapshot` makes the service a producer. `keeps_history` has every writing request tell the
    database who writes (`origin`). `transports`, by neighbour name (`gateway` for the
    keys), lets tests put real apps in the place of neighbours.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        engine = database.engine(settings, application=name)
        stack.push_async_callback(engine.dispose)
        sessions = database.sessions(engine)
        gateway = await stack.enter_async_context(
            http.client(transport=(transports or {}).get("gateway"))
        )
        publisher = outbox.Publisher(sessions, service=name, clock=clock)
        verifier = TokenVerifier(security, clock=clock, http=gateway)
        state = State(
            sessions=sessions,
            clock=clock,
            verifier=verifier,
            publisher=publisher,
            feed=None,
            followers=(),
            keeps_history=keeps_history,
            service_tokens=security.service_tokens,
            checks={"database": _answers(sessions)},
        )
        house = House(name, state, settings, stack)
        if snapshot is not None:
            notifications = Notifications(settings, channel=outbox.channel(name))
            state["feed"] = feed.Feed(name, sessions, notifications, snapshot)
            opened_now = await _feed_is_open(sessions)
            house.in_background(notifications.run(), name="notifications")
            house.in_background(_number(publisher, sessions, opened_now), name="sweep")
        house.in_background(_forget_keys(sessions, clock), name="idempotency")
        house.in_background(verifier.keep_fresh(), name="keys")
        yield house


async def _feed_is_open(sessions: Sessions) -> bool:
    try:
        await outbox.open_feed(sessions)
    except UNREACHABLE as failed:
        log.warning("feed.not_open", error=type(failed).__name__)
        return False
    return True


async def _number(publisher: outbox.Publisher, sessions: Sessions, is_open: bool) -> None:
    """Sweep for ever, once the feed is open: a service starts while its database is away."""
    while not is_open:
        await asyncio.sleep(1)
        is_open = await _feed_is_open(sessions)
    await publisher.sweep()


async def follow(
    house: House,
    *projections: tuple[Projection, NeighbourSettings],
    transports: Transports | None = None,
) -> tuple[Follower, ...]:
    """Keep projections up with the feeds of neighbours; the service is ready once all caught up."""
    followers: list[Follower] = []
    for projection, neighbour in projections:
        client = await house.enter(
            http.client(
                base_url=neighbour.url,
                token=neighbour.token.get_secret_value(),
                transport=(transports or {}).get(projection.source),
            )
        )
        follower = Follower(
            projection,
            sessions=house.state["sessions"],
            http=client,
            publisher=house.state["publisher"] if house.state["feed"] is not None else None,
        )
        house.in_background(follower.run(), name=f"follow {projection.source}")
        house.state["checks"][f"feed:{projection.source}"] = _caught_up(follower)
        followers.append(follower)
    house.state["followers"] = tuple(followers)
    return tuple(followers)


def _answers(sessions: Sessions) -> Check:
    async def check() -> bool:
        try:
            async with sessions.read() as session:
                await session.execute(text("SELECT 1"))
        except UNREACHABLE:
            return False
        return True

    return check


def _caught_up(follower: Follower) -> Check:
    async def check() -> bool:
        return follower.caught_up

    return check


async def _forget_keys(sessions: Sessions, clock: Clock) -> None:
    while True:
        await asyncio.sleep(3600)
        try:
            await idempotency.forget(sessions, clock)
        except UNREACHABLE as failed:
            log.warning("idempotency.forget_failed", error=type(failed).__name__)


class Health(Schema):
    status: str
    checks: dict[str, bool]


health = APIRouter(route_class=UnitOfWorkRoute, include_in_schema=False)


@health.get("/livez")
@public
async def livez() -> Health:
    """The process runs."""
    return Health(status="alive", checks={})


@health.get("/readyz", responses={503: {"model": Health}})
@public
async def readyz(request: Request, response: Response) -> Health:
    """The service can do its work: database reached, projections caught up since the start."""
    checks: dict[str, Check] = request.state.checks
    answers = await asyncio.gather(*(check() for check in checks.values()))
    results = dict(zip(checks, answers, strict=True))
    ready = all(answers)
    response.status_code = 200 if ready else 503
    return Health(status="ready" if ready else "not_ready", checks=results)


@health.get("/metrics")
@public
async def metrics(request: Request) -> Response:
    """Prometheus metrics, for holders of a service token."""
    service_caller(request, request.state.service_tokens)
    own: telemetry.Metrics = request.app.state.metrics
    return Response(generate_latest(own.registry), media_type=CONTENT_TYPE_LATEST)


internal = APIRouter(
    prefix="/internal",
    include_in_schema=False,
    route_class=UnitOfWorkRoute,
    dependencies=[Depends(feed.neighbour)],
)


@internal.get("/openapi.json")
@public
async def internal_contract(request: Request) -> Response:
    """This service's part of the contract, from which the gateway learns its routes."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi())


def build_app(
    *,
    name: str,
    title: str,
    server: ServerSettings,
    routers: Sequence[APIRouter],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]],
    refusals: Mapping[str, type[Problem]] | None = None,
    body_limits: Mapping[str, int] | None = None,
    tags: Mapping[str, str] | None = None,
) -> FastAPI:
    """The app of one service.

    `refusals` maps names of database constraints to problems. `body_limits` maps paths to their
    own body size limit in bytes; all others have `server.max_body_bytes`. `tags` describes the tags
    of its routes, for the contract.
    """

    @asynccontextmanager
    async def configured(app: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
        telemetry.configure_logging(server.log_level, service=name)
        async with lifespan(app) as state:
            _freeze()
            yield state

    app = FastAPI(
        title=title,
        version="1",
        lifespan=configured,
        openapi_url=None,
        openapi_tags=[{"name": tag, "description": said} for tag, said in (tags or {}).items()],
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,
        # FastAPI's own would record queries and the messages of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.metrics = telemetry.Metrics()
    for router in (*routers, feed.router, internal, health):
        app.include_router(router)
    refuse_unguarded(app.routes)
    contract.install(app)
    errors.install(app, refusals or {})
    app.add_middleware(_BodyLimit, limits=dict(body_limits or {}), otherwise=server.max_body_bytes)
    app.add_middleware(telemetry.TelemetryMiddleware, metrics=app.state.metrics)
    return app


def _freeze() -> None:
    """What the start has made stays until the end: collecting garbage need not look at it again,
    which held every request up for a tenth of a second now and then.

    Once in a process: that has one service, or many short-lived ones, as in tests.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


class _BodyLimit:
    """Refuses a body over the limit of its path: when it is read, for who may not is told that first."""

    def __init__(self, app: ASGIApp, *, limits: Mapping[str, int], otherwise: int) -> None:
        self._app = app
        self._limits = limits
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._otherwise)
        declared = Request(scope).headers.get("content-length", "")
        too_large = declared.isascii() and declared.isdigit() and int(declared[:19]) > limit
        read = 0

        async def counted() -> Message:
            nonlocal read
            if too_large:
                raise TooLarge()
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise TooLarge()
            return message

        await self._app(scope, counted, send)
