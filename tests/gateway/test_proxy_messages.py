"""What of a request reaches the service, and what of its answer the client."""

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import Upstream, answer, contract, end, more, raw, start, whole

PATHS = {
    "/v1/echo": ["get", "post", "put", "patch", "delete"],
    "/v1/echo/{echo_id}": ["get", "head", "options"],
    "/v1/echo/{echo_id}/parts/{part}": ["get"],
    "/v1/echo/fixed": ["post"],
}


@pytest.fixture(scope="module")
async def opened(forwarding: Settings) -> AsyncGenerator[tuple[Edge, Upstream]]:
    upstream = Upstream(document=contract(PATHS))
    async with serving(echoes=upstream) as urls, edge(behind(urls, forwarding)) as front:
        yield front, upstream


@pytest.fixture
def front(opened: tuple[Edge, Upstream]) -> Edge:
    return opened[0]


@pytest.fixture(autouse=True)
def upstream(opened: tuple[Edge, Upstream]) -> Upstream:
    opened[1].handlers.clear()
    opened[1].seen.clear()
    return opened[1]


async def test_a_request_passes_and_its_answer_comes_back(front: Edge) -> None:
    answer = await front.client.post(
        "/v1/echo?a=%20%E5%A7%93&b=1%2B1&&c", content="正文", headers={"Content-Type": "text/x"}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "method": "POST",
        "raw_path": "/v1/echo",
        "query": "a=%20%E5%A7%93&b=1%2B1&&c",
        "body": "正文",
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_with_and_without_a_body(front: Edge, method: str) -> None:
    for body in (b"", b"some"):
        answer = await front.client.request(method, "/v1/echo", content=body)
        assert answer.json()["method"] == method
        assert answer.json()["body"] == body.decode()


async def test_a_path_passes_as_it_came(front: Edge) -> None:
    path = "/v1/echo/%E9%87%91%E6%B2%99%20a+b;c@d:e$f,g!'()*~%25%3F%23"
    received = await raw(
        front.url, f"GET {path}?x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    )
    assert json.loads(received.partition(b"\r\n\r\n")[2])["raw_path"] == path


async def test_what_the_gateway_says_of_the_client(front: Edge, upstream: Upstream) -> None:
    await front.client.get(
        "/v1/echo",
        headers={
            "Host": "shequ.example",
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Prefix": "/evil",
            "X-Real-IP": "203.0.113.9",
            "Forwarded": "for=203.0.113.9",
            "Authorization": "Bearer abc",
            "Accept-Language": "en",
        },
    )
    assert upstream.header("x-forwarded-for") == "127.0.0.1"
    assert upstream.header("x-forwarded-host") == "shequ.example"
    assert upstream.header("x-forwarded-proto") == "http"
    assert str(upstream.header("host")).startswith("127.0.0.1:")
    for spoofed in ("x-forwarded-prefix", "x-real-ip", "forwarded"):
        assert upstream.header(spoofed) is None
    assert upstream.header("authorization") == "Bearer abc"
    assert upstream.header("accept-language") == "en"


async def test_nothing_is_added_that_the_client_did_not_say(
    front: Edge, upstream: Upstream
) -> None:
    await raw(front.url, b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    for name in ("accept", "accept-encoding", "user-agent", "content-type", "cookie"):
        assert upstream.header(name) is None


async def test_hop_by_hop_headers_end_here(front: Edge, upstream: Upstream) -> None:
    await raw(
        front.url,
        b"GET /v1/echo HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret-Hop, te\r\n"
        b"X-Secret-Hop: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"
        b"Proxy-Authorization: Basic eDp5\r\nTrailer: X-T\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nX-End-To-End: 1\r\n\r\n",
    )
    names = {name for name, _ in upstream.last_headers}
    assert b"x-end-to-end" in names
    assert not names & {
        b"x-secret-hop", b"te", b"keep-alive", b"proxy-connection", b"proxy-authorization",
        b"trailer", b"upgrade", b"http2-settings", b"connection",
    }  # fmt: skip


async def test_hop_by_hop_headers_of_the_answer_end_here(front: Edge, upstream: Upstream) -> None:
    async def hops(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(
            send,
            b"x",
            headers=[
                (b"connection", b"X-Hop"),
                (b"x-hop", b"1"),
                (b"keep-alive", b"timeout=1"),
                (b"proxy-authenticate", b"Basic"),
                (b"x-kept", b"1"),
                (b"set-cookie", b"a=1"),
                (b"set-cookie", b"b=2"),
                (b"server", b"secret/1.0"),
                (b"x-odd", "金".encode()),
                (b"x-latin", b"\xe9"),
            ],
        )

    upstream.handlers["/v1/echo"] = hops
    received = (await front.client.get("/v1/echo")).headers
    assert received["x-kept"] == "1"
    assert received.get_list("set-cookie") == ["a=1", "b=2"]
    assert dict(received.raw)[b"x-odd"] == "金".encode()
    assert dict(received.raw)[b"x-latin"] == b"\xe9"
    for gone in ("x-hop", "keep-alive", "proxy-authenticate"):
        assert gone not in received
    assert received.get("server") != "secret/1.0"
    for once in ("date", "server", "x-request-id", "content-length"):
        assert len(received.get_list(once)) == 1, once


async def test_one_request_can_be_followed(front: Edge, upstream: Upstream) -> None:
    async def with_ids(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"])[b"x-request-id"]
        await answer(send, b"x", headers=[(b"x-request-id", given)])

    upstream.handlers["/v1/echo"] = with_ids
    trace = "0af7651916cd43dd8448eb211c80319c"
    answered = await front.client.get(
        "/v1/echo",
        headers={
            "X-Request-ID": "from-the-client",
            "Traceparent": f"00-{trace}-b7ad6b7169203331-01",
            "Tracestate": "a=b",
        },
    )
    assert answered.headers.get_list("x-request-id") == ["from-the-client"]
    assert upstream.header("x-request-id") == "from-the-client"
    version, trace_id, parent, flags = str(upstream.header("traceparent")).split("-")
    assert (version, trace_id, flags) == ("00", trace, "01")
    assert parent != "b7ad6b7169203331"
    assert upstream.header("tracestate") == "a=b"


async def test_a_bad_request_id_is_replaced(front: Edge, upstream: Upstream) -> None:
    answered = await front.client.get("/v1/echo", headers={"X-Request-ID": "x" * 500})
    given = upstream.header("x-request-id")
    assert given is not None
    assert len(given) == 32
    assert answered.headers.get_list("x-request-id") == [given]


async def test_an_answer_is_private_unless_it_says_otherwise(
    front: Edge, upstream: Upstream
) -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x", headers=[(b"cache-control", b"public, max-age=60")])

    assert (await front.client.get("/v1/echo")).headers["cache-control"] == "no-store"
    upstream.handlers["/v1/echo"] = cached
    answered = await front.client.get("/v1/echo")
    assert answered.headers.get_list("cache-control") == ["public, max-age=60"]
    assert answered.headers["x-content-type-options"] == "nosniff"


async def test_compressed_bytes_pass_as_they_are(front: Edge, upstream: Upstream) -> None:
    async def packed(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"not really gzip", headers=[(b"content-encoding", b"gzip")])

    upstream.handlers["/v1/echo"] = packed
    async with front.client.stream("GET", "/v1/echo") as answered:
        assert b"".join([chunk async for chunk in answered.aiter_raw()]) == b"not really gzip"


async def test_a_redirect_is_the_clients_to_follow(front: Edge, upstream: Upstream) -> None:
    async def moved(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"", status=303, headers=[(b"location", b"/v1/echo/1")])

    upstream.handlers["/v1/echo"] = moved
    answered = await front.client.get("/v1/echo")
    assert (answered.status_code, answered.headers["location"]) == (303, "/v1/echo/1")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body(front: Edge, upstream: Upstream, status: int) -> None:
    async def empty(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, status=status, headers=[(b"etag", b'"1"')])
        await end(send)

    upstream.handlers["/v1/echo"] = empty
    for _ in range(2):
        answered = await front.client.get("/v1/echo")
        assert (answered.status_code, answered.content) == (status, b"")
        assert answered.headers["etag"] == '"1"'


async def test_head_is_get_without_the_body(front: Edge, upstream: Upstream) -> None:
    answered = await front.client.head("/v1/echo")
    assert (answered.status_code, answered.content) == (200, b"")
    assert int(answered.headers["content-length"]) > 0
    assert upstream.seen[-1]["method"] == "GET"
    # The connection is in order afterwards.
    assert (await front.client.get("/v1/echo")).json()["method"] == "GET"


async def test_head_reaches_a_service_that_takes_it(front: Edge, upstream: Upstream) -> None:
    assert (await front.client.head("/v1/echo/1")).status_code == 200
    assert upstream.seen[-1]["method"] == "HEAD"


async def test_head_of_an_endless_answer_ends(front: Edge, upstream: Upstream) -> None:
    left = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await more(send, b"tick")
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    upstream.handlers["/v1/echo"] = endless
    assert (await front.client.head("/v1/echo")).status_code == 200
    await asyncio.wait_for(left.wait(), 5)


async def test_options_tells_the_methods(front: Edge, upstream: Upstream) -> None:
    answered = await front.client.options("/v1/echo")
    assert (answered.status_code, answered.content) == (204, b"")
    assert answered.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert not upstream.seen
    await front.client.options("/v1/echo/1")
    assert upstream.seen[-1]["method"] == "OPTIONS"


async def test_a_method_that_a_path_does_not_take(front: Edge, upstream: Upstream) -> None:
    answered = await front.client.post("/v1/echo/1")
    assert (answered.status_code, answered.json()["code"]) == (405, "method.not_allowed")
    assert answered.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answered.headers["content-type"] == "application/problem+json"
    assert (await front.client.request("TRACE", "/v1/echo")).status_code == 405
    assert not upstream.seen


async def test_a_literal_comes_before_a_parameter_and_does_not_hide_it(
    front: Edge, upstream: Upstream
) -> None:
    assert (await front.client.post("/v1/echo/fixed")).status_code == 200
    assert (await front.client.get("/v1/echo/fixed")).status_code == 200
    assert (await front.client.get("/v1/echo/fixed/parts/1")).status_code == 200
    refused = await front.client.delete("/v1/echo/fixed")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_chunked_body_stays_one(front: Edge, upstream: Upstream) -> None:
    async def slowly() -> AsyncGenerator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            yield part
            await asyncio.sleep(0.02)

    answered = await front.client.post("/v1/echo", content=slowly())
    assert answered.json()["body"] == "one two three"
    assert upstream.header("transfer-encoding") == "chunked"
    assert upstream.header("content-length") is None


async def test_expect_continue_is_answered_here(front: Edge, upstream: Upstream) -> None:
    host, port = front.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert b'"body": "body"' in await reader.read()
    writer.close()
    await writer.wait_closed()
    assert upstream.header("expect") is None


async def test_a_refusal_comes_instead_of_100_continue(front: Edge) -> None:
    received = await raw(
        front.url,
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "request.too_large"' in received


async def test_http_1_0_gets_an_answer_that_ends(front: Edge, upstream: Upstream) -> None:
    async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await more(send, b"one ")
        await end(send, b"two")

    upstream.handlers["/v1/echo"] = streamed
    received = await raw(front.url, b"GET /v1/echo HTTP/1.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"one " in received
    assert b"two" in received


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n",
        b"GET /v1/echo HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n",
        b"GET /v1/echo HTTP/1.1\r\nHost: h\r\nX: \xff\r\n",
        b"GET /v1/echo\xff HTTP/1.1\r\nHost: h\r\n",
    ],
)
async def test_what_two_servers_could_read_differently_goes_no_further(
    front: Edge, upstream: Upstream, request_head: bytes
) -> None:
    received = await raw(front.url, request_head + b"Connection: close\r\n\r\n0\r\n\r\n")
    status = received[:12]
    assert status in {b"HTTP/1.1 400", b"HTTP/1.1 404"}, received
    assert not upstream.seen


async def test_pipelined_requests_are_answered_in_order(front: Edge, upstream: Upstream) -> None:
    one = b"POST /v1/echo?1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
    two = b"GET /v1/echo?2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    received = await raw(front.url, one + two)
    assert received.index(b'"query": "1"') < received.index(b'"query": "2"')


async def test_a_websocket_is_refused(front: Edge, upstream: Upstream) -> None:
    received = await raw(
        front.url,
        b"GET /v1/echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        until=b"}",
    )
    assert received.startswith(b"HTTP/1.1 501 ")
    assert b'"code": "upgrade.unsupported"' in received
    assert not upstream.seen


async def test_problems_are_in_the_callers_language(front: Edge) -> None:
    chinese = await front.client.get("/v1/nothing")
    english = await front.client.get("/v1/nothing", headers={"Accept-Language": "en"})
    assert chinese.json()["title"] == "没有这个地址"
    assert english.json()["title"] == "There is nothing at this address"
    assert english.json()["instance"] == f"urn:request:{english.headers['x-request-id']}"


async def test_the_body_is_read_by_the_service_alone(front: Edge, upstream: Upstream) -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"no", status=401)

    upstream.handlers["/v1/echo"] = early
    answered = await front.client.post("/v1/echo", content=b"x" * 5_000_000)
    assert (answered.status_code, answered.content) == (401, b"no")
    assert httpx.codes.is_client_error(answered.status_code)
    upstream.handlers["/v1/echo"] = whole_length
    for _ in range(3):
        again = await front.client.post("/v1/echo", content=b"x" * 5_000_000)
        assert again.content == b"5000000"


async def whole_length(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, str(len(await whole(receive))).encode())
