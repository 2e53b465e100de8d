"""No path reaches what it does not name, however it is written."""

from collections.abc import AsyncGenerator

import pytest

from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import TOKEN, Upstream, contract, raw

PATHS = {"/v1/residents": ["get"], "/v1/residents/{resident_id}": ["get"]}


@pytest.fixture(scope="module")
async def opened(forwarding: Settings) -> AsyncGenerator[tuple[Edge, Upstream]]:
    # A service may be careless and list what is internal: it still does not pass.
    document = contract(PATHS | {"/internal/feed": ["get"], "/metrics": ["get"]})
    upstream = Upstream(document=document)
    async with serving(residents=upstream) as urls, edge(behind(urls, forwarding)) as front:
        yield front, upstream


async def ask(front: Edge, target: str, method: str = "GET") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n"
    return await raw(front.url, f"{head}Connection: close\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//",
        "/internal",
        "/internal/",
        "/internal/feed",
        "//internal/feed",
        "/internal//feed",
        "/%69nternal/feed",
        "/%2e/internal/feed",
        "/./internal/feed",
        "/v1/../internal/feed",
        "/v1/..%2finternal/feed",
        "/v1/%2e%2e/internal/feed",
        "/v1/%2E%2E/internal/feed",
        "/v1/.%2e/internal/feed",
        "/v1/residents/../../internal/feed",
        "/v1/residents/..%2f..%2finternal%2ffeed",
        "/v1/residents/%2Finternal",
        "/v1/residents/a%2Fb",
        "/v1/residents%2F1",
        "/v1%2Fresidents",
        "/%2fv1/residents",
        "/v1/residents/..",
        "/v1/residents/.",
        "/v1/residents/%2e%2e",
        "/v1/residents/..\\..\\internal",
        "/v1/residents/%5c..%5cinternal",
        "/v1/residents/a%00b",
        "/v1/residents/a%0d%0aX: y",
        "/v1/residents/",
        "/v1//residents",
        "/v1/",
        "/v1",
        "/V1/residents",
        "/v1/Residents",
        "/v2/residents",
        "/openapi.json/../internal/feed",
        "/docs/../internal/feed",
        "/docs/..%2finternal%2ffeed",
        "/docs/%2e%2e/internal/feed",
        "/redoc",
        "/internal/openapi.json",
        "/internal/snapshot",
        "/v1/residents;/../../internal/feed",
        "http://127.0.0.1/internal/feed",
        "http://127.0.0.1//internal/feed",
    ],
)
async def test_nothing_is_there(opened: tuple[Edge, Upstream], target: str) -> None:
    front, upstream = opened
    upstream.seen.clear()
    received = await ask(front, target)
    assert received.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), received
    assert not upstream.seen


@pytest.mark.parametrize("target", ["*", "residents", "h:80"])
async def test_a_target_that_is_no_path(opened: tuple[Edge, Upstream], target: str) -> None:
    front, upstream = opened
    upstream.seen.clear()
    for method in ("GET", "OPTIONS", "CONNECT"):
        received = await ask(front, target, method)
        assert received.startswith(b"HTTP/1.1 4"), received
    assert not upstream.seen


@pytest.mark.parametrize(
    ("target", "raw_path"),
    [
        ("/v1/residents", "/v1/residents"),
        ("/v1/%72esidents", "/v1/%72esidents"),
        ("/v1/residents/%252e%252e", "/v1/residents/%252e%252e"),
        ("/v1/residents/%252Finternal", "/v1/residents/%252Finternal"),
        ("/v1/residents/...", "/v1/residents/..."),
        ("/v1/residents/..a", "/v1/residents/..a"),
        ("/v1/residents/%ff%fe", "/v1/residents/%ff%fe"),
        ("/v1/residents/%zz", "/v1/residents/%zz"),
        ("/v1/residents/1;a=b", "/v1/residents/1;a=b"),
        ("/v1/residents/1?/../../internal", "/v1/residents/1"),
        ("http://elsewhere.example/v1/residents", "/v1/residents"),
    ],
)
async def test_what_is_there_gets_what_was_written(
    opened: tuple[Edge, Upstream], target: str, raw_path: str
) -> None:
    front, upstream = opened
    upstream.seen.clear()
    received = await ask(front, target)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert upstream.seen[-1]["raw_path"].decode() == raw_path
