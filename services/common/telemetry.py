"""What can be seen of a running service: logs, metrics, request ids. Nothing personal, ever.

A log line holds a route's template, never its URL: a path or a query may name a person. An
unforeseen error is logged as its type and its frames, never its message: messages quote values.
"""

import contextlib
import contextvars
import logging
import re
import secrets
import sys
import time
import traceback
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("services.request")

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{8,64}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_QUIET = {"/livez", "/readyz", "/metrics"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_WORDS = re.compile(r"[A-Za-z' ]*")

_context: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "request", default=None
)


def configure_logging(level: str, *, service: str) -> None:
    """One JSON object a line on stderr, for our own loggers and the libraries' alike.

    Ours write at once: by way of `logging`, a line took four times as long, and there is one for
    every request.
    """
    _lines.stream = sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception_text,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_json)],
        logger_factory=_logger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"
    # httpx logs every URL it asks for.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel("WARNING")
    logging.getLogger("asyncio").addFilter(_without_values)
    structlog.contextvars.bind_contextvars(service=service)


class _Lines:
    """What our own loggers write to, as they are cached: stderr of the service's start."""

    stream: TextIO | None = None

    def write(self, line: str) -> None:
        # A log that nobody takes any more stops no request.
        with contextlib.suppress(OSError, ValueError):
            (self.stream or sys.stderr).write(line + "\n")

    debug = info = warning = error = critical = write


_lines = _Lines()


def _logger(*_: Any) -> _Lines:
    return _lines


def _json(event: dict[str, Any], **_: Any) -> str:
    return to_json(event, fallback=repr).decode()


def _without_exception_text(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    given: Any = event.pop("exc_info", None)
    raised = given if isinstance(given, BaseException) else sys.exception() if given else None
    if raised is not None:
        event["error"] = type(raised).__name__
        event["frames"] = _frames(raised)
    return event


def _without_values(record: logging.LogRecord) -> bool:
    # asyncio goes on with what was at hand: tasks with their exceptions, callbacks with arguments.
    found = _WORDS.match(record.getMessage())
    record.msg, record.args = found[0] if found else "", None
    return True


def _frames(raised: BaseException) -> list[str]:
    frames = traceback.extract_tb(raised.__traceback__)[-12:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}" for frame in frames]


def log_unforeseen(raised: BaseException) -> None:
    log.error("unforeseen", error=type(raised).__name__, frames=_frames(raised))


def request_id() -> str:
    """The id of the request being handled; "-" outside of one."""
    current = _context.get()
    return current[0] if current else "-"


def outgoing_headers() -> dict[str, str]:
    """What a call to a neighbour carries on, so that one request can be followed everywhere."""
    current = _context.get()
    return {REQUEST_ID: current[0], TRACEPARENT: current[1]} if current else {}


def trace(request_id: str | None, traceparent: str | None) -> tuple[str, str]:
    """A request id and a W3C traceparent: the caller's if well formed, else new ones.

    The trace id is kept and the parent id is ours, as the next hop's parent.
    """
    if request_id is None or not _REQUEST_ID.fullmatch(request_id):
        request_id = secrets.token_hex(16)
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match and int(match[1], 16) and int(match[2], 16):
        trace_id, flags = match[1], match[3]
    else:
        trace_id, flags = secrets.token_hex(16), "00"
    return request_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests_total",
            "Requests answered, by route template.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "http_request_seconds",
            "Time until the answer was complete, in seconds.",
            ("method", "route"),
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )


class TelemetryMiddleware:
    """Outermost: ids, one log line and one measurement per request, and no exception past it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        ids = trace(headers.get(REQUEST_ID), headers.get(TRACEPARENT))
        token = _context.set(ids)
        scope["shequ.trace"] = ids
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", ids[0].encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started, ids)
            _context.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float, ids: tuple[str, str]) -> None:
        route = route_template(scope)
        # Anybody may invent a method: each would be a time series, and its name is theirs.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if route in _QUIET:
            return
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            request_id=ids[0],
            trace_id=ids[1][3:35],
        )


def route_template(scope: Scope) -> str:
    """`/v1/residents/{resident_id}`; "-" for what no route answered."""
    if "shequ.route" in scope:
        return str(scope["shequ.route"])
    route = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", None) or "-")
