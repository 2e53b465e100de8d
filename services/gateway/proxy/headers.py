"""Which headers pass, in which direction, and what is added."""

from collections.abc import Iterable, Sequence

from starlette.types import Scope

from services.common import telemetry
from services.common.problems import Malformed
from services.gateway.errors import UpgradeUnsupported

Raw = Sequence[tuple[bytes, bytes]]

# RFC 9110 7.6.1: these are about one connection, not about the message.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Said by the gateway itself, whatever the client said. Its server has answered Expect already.
_OURS_UPSTREAM = frozenset(
    {
        b"host",
        b"expect",
        b"http2-settings",
        b"forwarded",
        b"x-real-ip",
        telemetry.REQUEST_ID.encode(),
        telemetry.TRACEPARENT.encode(),
    }
)
# The gateway's server and its telemetry say these of every answer.
_OURS_DOWNSTREAM = frozenset({b"date", b"server", telemetry.REQUEST_ID.encode()})
_DROPPED_UPSTREAM = _HOP_BY_HOP | _OURS_UPSTREAM
_DROPPED_DOWNSTREAM = _HOP_BY_HOP | _OURS_DOWNSTREAM
# What every answer says unless it says otherwise: most of them are about people.
_DEFAULTS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


def upstream(scope: Scope) -> list[tuple[str, str]]:
    """The headers of the request as the service is to get it.

    Raises Malformed, or UpgradeUnsupported for a WebSocket: any other upgrade may be ignored.
    """
    headers: Raw = scope["headers"]
    dropped = _without_hops(_DROPPED_UPSTREAM, headers)
    passed: list[tuple[str, str]] = []
    try:
        for name, value in headers:
            if name == b"host":
                passed.append(("x-forwarded-host", value.decode("ascii")))
            elif name == b"upgrade" and value.lower() == b"websocket":
                raise UpgradeUnsupported()
            elif name not in dropped and not name.startswith(b"x-forwarded-"):
                passed.append((name.decode("ascii"), value.decode("utf-8")))
    except UnicodeDecodeError:
        raise Malformed() from None
    peer = scope.get("client")
    passed.append(("x-forwarded-for", str(peer[0]) if peer else "unknown"))
    passed.append(("x-forwarded-proto", scope["scheme"]))
    passed.extend(telemetry.outgoing_headers().items())
    return passed


def downstream(headers: Raw, *, status: int) -> list[tuple[bytes, bytes]]:
    """The headers of the answer as the client is to get it."""
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = _without_hops(_DROPPED_DOWNSTREAM, lowered)
    if status in {204, 304}:
        dropped |= {b"content-length"}
    return with_defaults([header for header in lowered if header[0] not in dropped])


def with_defaults(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """With what every answer says. Names are in lower case."""
    passed = list(headers)
    names = {name for name, _ in passed}
    passed.extend(header for header in _DEFAULTS if header[0] not in names)
    return passed


def _without_hops(dropped: frozenset[bytes], headers: Raw) -> frozenset[bytes]:
    """Also what a Connection header names."""
    for name, value in headers:
        if name == b"connection":
            dropped |= {part.strip().lower() for part in value.split(b",")}
    return dropped
