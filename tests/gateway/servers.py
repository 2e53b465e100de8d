"""Real servers on loopback ports, and a service to stand behind the gateway."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.security import token_hash

TOKEN = "the-gateway-in-tests"
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Ctrl-C is pytest's."""
        yield


@asynccontextmanager
async def served(app: ASGIApp, *, port: int = 0, lifespan: str = "off") -> AsyncGenerator[str]:
    """Serve an app as in production, on 127.0.0.1; its URL."""
    config = uvicorn.Config(
        app, http="httptools", loop="none", lifespan=lifespan, log_config=None, access_log=False,
        proxy_headers=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    with listening(port) as bound:
        task = asyncio.create_task(server.serve(sockets=[bound]))
        while not server.started:
            assert not task.done(), "the server did not start"
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await task


@contextlib.contextmanager
def listening(port: int = 0) -> Generator[socket.socket]:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        yield bound


def free_port() -> int:
    with listening() as bound:
        return bound.getsockname()[1]


def contract(paths: Mapping[str, Iterable[str]], *, title: str = "Echoes") -> dict[str, Any]:
    """A minimal OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": {
            path: {
                method: {
                    "operationId": f"{method}_{title.lower()}_{number}",
                    "tags": [title.lower()],
                    "responses": {"200": {"description": "OK"}},
                }
                for method in methods
            }
            for number, (path, methods) in enumerate(paths.items())
        },
    }


@dataclass
class Upstream:
    """A service that notes what reaches it and answers as each path's handler says."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=lambda: contract({}))
    seen: list[Scope] = field(default_factory=list)
    documents_asked: int = 0
    ready: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/internal/openapi.json":
            self.documents_asked += 1
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            accepted = token_hash(given.removeprefix("Bearer ")) == token_hash(TOKEN)
            await answer(send, json.dumps(self.document).encode(), status=200 if accepted else 401)
            return
        if path == "/readyz":
            await answer(send, b"{}", status=200 if self.ready else 503)
            return
        self.seen.append(scope)
        handler = self.handlers.get(path) or self.handlers.get("*", echo)
        await handler(scope, receive, send)

    @property
    def last_headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.seen[-1]["headers"])

    def header(self, name: str) -> str | None:
        found = [v.decode() for n, v in self.last_headers if n == name.encode()]
        return found[0] if len(found) == 1 else (None if not found else str(found))


async def start(
    send: Send, *, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def more(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def end(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body})


async def answer(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await start(send, status=status, headers=[length, *headers])
    await end(send, body)


async def chunks(receive: Receive) -> AsyncGenerator[bytes]:
    while True:
        message: Message = await receive()
        assert message["type"] == "http.request", message
        yield message["body"]
        if not message["more_body"]:
            return


async def whole(receive: Receive) -> bytes:
    return b"".join([chunk async for chunk in chunks(receive)])


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was asked, as JSON."""
    body = await whole(receive)
    said = {
        "method": scope["method"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "body": body.decode("utf-8", "replace"),
    }
    await answer(send, json.dumps(said).encode(), headers=[(b"content-type", b"application/json")])


async def raw(url: str, request: bytes, *, until: bytes | None = None) -> bytes:
    """Send bytes as they are; what comes back until the end, or until `until` has come."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        received = b""
        while until is None or until not in received:
            some = await asyncio.wait_for(reader.read(65536), 10)
            if not some:
                break
            received += some
        return received
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
