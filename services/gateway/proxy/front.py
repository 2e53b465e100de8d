"""What stands at the door: every request is the gateway's own, a service's, or refused."""

from collections.abc import Mapping

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common import errors
from services.common.problems import (
    MethodNotAllowed,
    RouteNotFound,
    TokenInvalid,
    TokenMissing,
    Unavailable,
)
from services.common.security import service_caller
from services.common.telemetry import Metrics, TelemetryMiddleware
from services.gateway.domain.routes import PUBLIC, NotAllowed, Route, segments_of
from services.gateway.proxy import headers
from services.gateway.proxy.forwarding import forward
from services.gateway.proxy.upstream import UpstreamClient
from services.gateway.service.directory import OWN, Directory

# The gateway's own paths that are in no contract. `/internal` is not among them: it never passes.
_OWN_PATHS = frozenset({"openapi.json", "docs", "livez", "readyz", "metrics"})
# The gateway's own feed is for neighbours who say who they are; for everybody else nothing is there.
_FEED = frozenset({("internal", "feed"), ("internal", "snapshot")})

Segments = tuple[str, ...] | None
Found = Route | NotAllowed | None


class Front:
    """Pure ASGI, outermost of the gateway's app. What it needs is in the lifespan's state:
    `directory`, `upstream` and `base_urls`.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        # The gateway's own app has the same two around its routes.
        self._edge = TelemetryMiddleware(
            errors.AnythingElse(self._answer, refusals={}), metrics=metrics
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        segments = segments_of(scope["path"], scope["raw_path"])
        found = _find(scope, segments)
        own_path = segments is not None and (
            segments[0] in _OWN_PATHS or (segments in _FEED and _is_neighbour(scope))
        )
        if own_path or (isinstance(found, Route) and found.owner == OWN):
            await self._own(scope, receive, send)
        else:
            scope["shequ.segments"], scope["shequ.found"] = segments, found
            await self._edge(scope, receive, send)

    async def _own(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_defaults(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = headers.with_defaults(message["headers"])
            await send(message)

        # The server leaves the body of an answer to HEAD away by itself.
        get = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        await self._app(get, receive, send_with_defaults)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward, or raise the refusal."""
        found: Found = scope["shequ.found"]
        if not isinstance(found, Route):
            found = await _find_again(scope, scope["shequ.segments"])
        if isinstance(found, NotAllowed):
            allow = {"Allow": ", ".join(sorted(found.allowed))}
            if scope["method"] != "OPTIONS":
                raise MethodNotAllowed(headers=allow)
            await Response(status_code=204, headers=allow)(scope, receive, send)
            return
        scope["shequ.route"] = found.template
        base_urls: Mapping[str, str] = scope["state"]["base_urls"]
        client: UpstreamClient = scope["state"]["upstream"]
        await forward(
            scope,
            receive,
            send,
            client=client,
            base_url=base_urls[found.owner],
            method=scope["method"] if scope["method"] in found.methods else "GET",
            max_body_bytes=self._max_body_bytes,
        )


def _is_neighbour(scope: Scope) -> bool:
    accepted: dict[str, str] = scope["state"]["service_tokens"]
    try:
        service_caller(HTTPConnection(scope), accepted)
    except (TokenMissing, TokenInvalid):
        return False
    return True


def _find(scope: Scope, segments: Segments) -> Found:
    if segments is None or segments[0] not in PUBLIC:
        return None
    directory: Directory = scope["state"]["directory"]
    return directory.table.find(segments, scope["method"])


async def _find_again(scope: Scope, segments: Segments) -> Route | NotAllowed:
    """What is unknown may be new: ask the services, if nobody has just done so."""
    if segments is None or segments[0] not in PUBLIC:
        raise RouteNotFound()
    directory: Directory = scope["state"]["directory"]
    await directory.look_again()
    found = _find(scope, segments)
    if found is not None:
        return found
    # It may be one of a service that has not been reached yet.
    raise RouteNotFound() if directory.complete else Unavailable()
