"""Which headers pass, in which direction, and what is added."""

from collections.abc import Iterable, Sequence

from starlette.types import Scope

from services.common import telemetry
from services.common.problems import Malformed

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
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")


def _named_in_connection(headers: Raw) -> frozenset[bytes]:
    return frozenset(
        name.strip().lower()
        for key, value in headers
        if key.lower() == b"connection"
        for name in value.split(b",")
    )


def upstream(scope: Scope) -> list[tuple[str, str]]:
    """The headers of the request as the service is to get it. Raises Malformed."""
    headers: Raw = scope["headers"]
    dropped = _HOP_BY_HOP | _OURS_UPSTREAM | _named_in_connection(headers)
    try:
        passed = [
            (name.decode("ascii"), value.decode("utf-8"))
            for name, value in headers
            if name not in dropped and not name.startswith(b"x-forwarded-")
        ]
        host = next((value.decode("ascii") for name, value in headers if name == b"host"), "")
    except UnicodeDecodeError:
        raise Malformed() from None
    peer = scope.get("client")
    passed += telemetry.outgoing_headers().items()
    passed.append(("x-forwarded-for", str(peer[0]) if peer else "unknown"))
    passed.append(("x-forwarded-proto", scope["scheme"]))
    if host:
        passed.append(("x-forwarded-host", host))
    return passed


def downstream(headers: Raw, *, status: int) -> list[tuple[bytes, bytes]]:
    """The headers of the answer as the client is to get it."""
    dropped = _HOP_BY_HOP | _OURS_DOWNSTREAM | _named_in_connection(headers)
    if status in {204, 304}:
        dropped |= {b"content-length"}
    passed = [(lower, value) for name, value in headers if (lower := name.lower()) not in dropped]
    return with_defaults(passed)


def with_defaults(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """With what every answer says unless it says otherwise: most of them are about people."""
    passed = list(headers)
    names = {name.lower() for name, _ in passed}
    passed.extend(header for header in (_NOSNIFF, _NO_STORE) if header[0] not in names)
    return passed
