"""Services that are away, slow or broken."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import Upstream, answer, contract, free_port, listening, served

PATHS = {"/v1/things": ["get", "post", "put", "delete"]}

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def bereft(forwarding: Settings, **proxy: float) -> AsyncGenerator[tuple[Edge, int]]:
    """A gateway that has learned its service's routes, and the port on which that service was."""
    port = free_port()
    settings = behind({"things": f"http://127.0.0.1:{port}"}, forwarding, **proxy)
    async with AsyncExitStack() as stack:
        async with served(Upstream(document=contract(PATHS)), port=port):
            front = await stack.enter_async_context(edge(settings))
            await front.client.post("/v1/things")
        yield front, port


@asynccontextmanager
async def in_front_of(
    handle: Connected, forwarding: Settings, **proxy: float
) -> AsyncGenerator[Edge]:
    """A gateway whose service turned into something that speaks HTTP badly."""
    async with (
        bereft(forwarding, **proxy) as (front, port),
        await asyncio.start_server(handle, "127.0.0.1", port, reuse_address=True),
    ):
        yield front


async def request_line(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_that_is_away(forwarding: Settings, method: str) -> None:
    async with bereft(forwarding) as (front, port):
        answered = await front.client.request(method, "/v1/things", content=b"x" * 100_000)
        assert (answered.status_code, answered.json()["code"]) == (503, "service.unavailable")
        assert answered.headers["retry-after"] == "1"
        assert answered.headers["content-type"] == "application/problem+json"
        # It comes back, and nobody has to tell the gateway.
        async with served(Upstream(document=contract(PATHS)), port=port):
            assert (await front.client.request(method, "/v1/things")).status_code == 200


async def test_a_get_is_sent_again_if_no_answer_began(forwarding: Settings) -> None:
    lines: list[bytes] = []

    async def hangs_up_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await request_line(reader))
        if len(lines) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    async with in_front_of(hangs_up_once, forwarding) as front:
        assert (await front.client.get("/v1/things")).text == "ok"
    assert len(lines) == 2


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1), ("PATCH", 0)])
async def test_what_was_sent_may_have_happened(
    forwarding: Settings, method: str, times: int
) -> None:
    lines: list[bytes] = []

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await request_line(reader))
        writer.close()

    async with in_front_of(hangs_up, forwarding) as front:
        answered = await front.client.request(method, "/v1/things", content=b"x")
        if times:
            assert (answered.status_code, answered.json()["code"]) == (502, "upstream.failed")
        else:
            assert answered.status_code == 405
    assert len(lines) == times


async def test_an_uploaded_body_is_never_sent_twice(forwarding: Settings) -> None:
    lines: list[bytes] = []

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await request_line(reader))
        await reader.read(100_000)
        writer.close()

    async def body() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    async with in_front_of(hangs_up, forwarding) as front:
        answered = await front.client.put("/v1/things", content=body())
        assert (answered.status_code, answered.json()["code"]) == (502, "upstream.failed")
    assert len(lines) == 1


@pytest.mark.parametrize(
    "said", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 2"]
)
async def test_an_answer_that_is_none(forwarding: Settings, said: bytes) -> None:
    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_line(reader)
        writer.write(said)
        await writer.drain()
        writer.close()

    async with in_front_of(talks, forwarding) as front:
        answered = await front.client.post("/v1/things")
        assert (answered.status_code, answered.json()["code"]) == (502, "upstream.failed")


async def test_a_service_that_says_nothing(forwarding: Settings) -> None:
    async def sleeps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with in_front_of(sleeps, forwarding, idle_seconds=0.3) as front:
        answered = await front.client.get("/v1/things")
        assert (answered.status_code, answered.json()["code"]) == (504, "upstream.timed_out")


async def test_an_answer_shorter_than_it_said(forwarding: Settings) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_line(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with in_front_of(short, forwarding) as front:
        reader, writer = await asyncio.open_connection(*front.url[7:].split(":"))
        writer.write(b"GET /v1/things HTTP/1.1\r\nHost: h\r\n\r\n")
        received = await asyncio.wait_for(reader.read(), 5)
        assert received.endswith(b"\r\n\r\nhalf")
        writer.close()
        await writer.wait_closed()


async def test_an_idle_connection_that_the_service_closed_costs_nobody_a_post(
    forwarding: Settings,
) -> None:
    """The gateway has used a connection, and the service has closed it since."""
    async with (
        bereft(forwarding) as (front, port),
        served(Upstream(document=contract(PATHS)), port=port),
    ):
        assert (await front.client.post("/v1/things", content=b"2")).status_code == 200


async def test_a_service_that_fails_in_the_middle_of_its_work(
    forwarding: Settings,
) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b'{"code": "internal.error"}', status=500)

    upstream = Upstream(document=contract(PATHS), handlers={"/v1/things": fails})
    async with serving(things=upstream) as urls, edge(behind(urls, forwarding)) as front:
        answered = await front.client.get("/v1/things")
        assert (answered.status_code, answered.json()["code"]) == (500, "internal.error")


async def test_a_host_that_does_not_answer_the_call(forwarding: Settings) -> None:
    """A full backlog: connecting takes longer than the gateway waits."""
    async with bereft(forwarding, connect_seconds=0.3) as (front, port):
        with ExitStack() as sockets:
            deaf = sockets.enter_context(listening(port))
            deaf.listen(0)
            for _ in range(4):
                caller = sockets.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex(("127.0.0.1", port))
            answered = await front.client.get("/v1/things")
        assert (answered.status_code, answered.json()["code"]) == (503, "service.unavailable")
