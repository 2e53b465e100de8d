"""Both directions flow, neither is gathered, and whoever leaves is noticed."""

import asyncio
import contextlib
import hashlib
import tracemalloc
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import Upstream, answer, chunks, contract, end, more, raw, start, whole

PATHS = {"/v1/stream": ["get", "post", "put"]}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def opened(forwarding: Settings) -> AsyncGenerator[tuple[Edge, Upstream]]:
    upstream = Upstream(document=contract(PATHS))
    async with (
        serving(streams=upstream) as urls,
        edge(behind(urls, forwarding, max_body_bytes=70 * MIB)) as front,
    ):
        yield front, upstream


@pytest.fixture
def front(opened: tuple[Edge, Upstream]) -> Edge:
    return opened[0]


@pytest.fixture(autouse=True)
def upstream(opened: tuple[Edge, Upstream]) -> Upstream:
    opened[1].handlers.clear()
    opened[1].seen.clear()
    return opened[1]


async def parts(count: int, size: int = MIB) -> AsyncGenerator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_of_64_mib(front: Edge, upstream: Upstream, declared: bool) -> None:
    async def digest(scope: Scope, receive: Receive, send: Send) -> None:
        hashed = hashlib.sha256()
        async for chunk in chunks(receive):
            hashed.update(chunk)
        await answer(send, hashed.hexdigest().encode())

    upstream.handlers["/v1/stream"] = digest
    expected = hashlib.sha256()
    async for part in parts(64):
        expected.update(part)
    headers = {"Content-Length": str(64 * MIB)} if declared else {}
    answered = await front.client.post("/v1/stream", content=parts(64), headers=headers)
    assert answered.text == expected.hexdigest()
    assert upstream.header("content-length") == (str(64 * MIB) if declared else None)


async def test_a_download_of_64_mib(front: Edge, upstream: Upstream) -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        async for part in parts(64):
            await more(send, part)
        await end(send)

    upstream.handlers["/v1/stream"] = large
    expected, received = hashlib.sha256(), hashlib.sha256()
    async for part in parts(64):
        expected.update(part)
    async with front.client.stream("GET", "/v1/stream") as answered:
        async for chunk in answered.aiter_raw():
            received.update(chunk)
    assert received.digest() == expected.digest()


async def test_a_slow_reader_holds_the_service_back(front: Edge, upstream: Upstream) -> None:
    sent = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await start(send)
        for _ in range(512):
            await more(send, b"x" * MIB)
            sent += 1
        await end(send)

    upstream.handlers["/v1/stream"] = endless
    host, port = front.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: h\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    before = -1
    while sent != before:  # until nothing moves any more
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 64
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_slow_service_holds_the_sender_back(front: Edge, upstream: Upstream) -> None:
    proceed = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        await answer(send, str(len(await whole(receive))).encode())

    sent = 0

    async def body() -> AsyncGenerator[bytes]:
        nonlocal sent
        async for part in parts(64):
            yield part
            sent += 1

    upstream.handlers["/v1/stream"] = waits
    tracemalloc.start()
    asked = asyncio.create_task(front.client.post("/v1/stream", content=body()))
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.3)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert sent < 32
    assert held < 16 * MIB
    proceed.set()
    assert (await asked).text == str(64 * MIB)


async def test_every_piece_arrives_when_it_is_sent(front: Edge, upstream: Upstream) -> None:
    received = asyncio.Event()

    async def ping_pong(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, headers=[(b"content-type", b"text/event-stream")])
        for number in range(3):
            received.clear()
            await more(send, b"data: %d\n\n" % number)
            await asyncio.wait_for(received.wait(), 5)
        await end(send)

    upstream.handlers["/v1/stream"] = ping_pong
    pieces: list[bytes] = []
    async with front.client.stream("GET", "/v1/stream") as answered:
        assert answered.headers["content-type"] == "text/event-stream"
        async for piece in answered.aiter_raw():
            pieces.append(piece)
            received.set()
    assert pieces == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


async def test_the_head_arrives_before_any_body(front: Edge, upstream: Upstream) -> None:
    seen = asyncio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await asyncio.wait_for(seen.wait(), 5)
        await end(send, b"at last")

    upstream.handlers["/v1/stream"] = silent
    async with front.client.stream("GET", "/v1/stream") as answered:
        assert answered.status_code == 200
        seen.set()
        assert await answered.aread() == b"at last"


@pytest.mark.parametrize("when", ["before the answer", "during the answer"])
async def test_a_client_that_leaves_is_noticed_by_the_service(
    front: Edge, upstream: Upstream, when: str
) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        if when == "during the answer":
            await start(send)
            await more(send, b"tick")
        reached.set()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    upstream.handlers["/v1/stream"] = long
    host, port = front.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/stream HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    await reached.wait()
    if when == "during the answer":
        await reader.readuntil(b"tick")
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(left.wait(), 5)
    status = "499" if when == "before the answer" else "200"
    counted = front.app.state.metrics.requests.labels("POST", "/v1/stream", status)
    while not counted._value.get():  # noqa: SLF001 - prometheus has no reader
        await asyncio.sleep(0.01)


async def test_a_client_that_leaves_during_its_upload(front: Edge, upstream: Upstream) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            reached.set()
        left.set()

    upstream.handlers["/v1/stream"] = reads
    host, port = front.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/stream HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhi")
    await reached.wait()
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(left.wait(), 5)


async def test_a_cut_upload_never_looks_complete(front: Edge, upstream: Upstream) -> None:
    """A chunked body that ends with its client must not be ended properly towards the service."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message["more_body"]:
                outcome.set_result(message["type"])
                return

    upstream.handlers["/v1/stream"] = reads
    host, port = front.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
    )
    while not upstream.seen:
        await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
    assert await asyncio.wait_for(outcome, 5) == "http.disconnect"


async def test_too_much_is_refused_before_it_is_sent(front: Edge, upstream: Upstream) -> None:
    answered = await front.client.post("/v1/stream", content=b"x" * (70 * MIB + 1))
    assert (answered.status_code, answered.json()["code"]) == (413, "request.too_large")
    assert not upstream.seen


async def test_too_much_is_refused_while_it_is_sent(front: Edge, upstream: Upstream) -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(AssertionError):
            await whole(receive)

    upstream.handlers["/v1/stream"] = reads
    answered = await front.client.post("/v1/stream", content=parts(72))
    assert (answered.status_code, answered.json()["code"]) == (413, "request.too_large")


async def test_an_answer_that_breaks_off_is_not_made_to_look_whole(
    front: Edge, upstream: Upstream
) -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await more(send, b"half")

    upstream.handlers["/v1/stream"] = breaks
    with pytest.raises(httpx.RemoteProtocolError):
        await front.client.get("/v1/stream")
    received = await raw(front.url, b"GET /v1/stream HTTP/1.1\r\nHost: h\r\n\r\n")
    assert received.endswith(b"half\r\n")


async def test_many_at_once(front: Edge, upstream: Upstream) -> None:
    async def delayed(scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)
        await asyncio.sleep(0.05)
        await answer(send, body)

    upstream.handlers["/v1/stream"] = delayed
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=front.url, limits=limits, trust_env=False) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/stream", content=f"{n}" * 100) for n in range(100))
        )
    assert [a.text for a in answers] == [f"{n}" * 100 for n in range(100)]
