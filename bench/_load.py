"""A client that costs little: raw HTTP/1.1 on kept connections, for what answers fast."""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ask(asyncio.Protocol):
    """One connection that sends the requests in turn, each when the one before is answered."""

    requests: Sequence[bytes]
    answers: int = 0
    refused: int = 0
    _next: int = 0
    _received: bytes = b""
    _transport: asyncio.WriteTransport | None = field(default=None, repr=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, parted, body = self._received.partition(b"\r\n\r\n")
        if not parted:
            return
        _, named, after = head.lower().partition(b"\r\ncontent-length: ")
        assert named, "an answer without its length"
        if len(body) < int(after.split(b"\r\n", 1)[0]):
            return
        self._received = b""
        self.answers += 1
        self.refused += not head.startswith(b"HTTP/1.1 200")
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(self.requests[self._next % len(self.requests)])
        self._next += 1


def get(path: str, token: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()


def throughput(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> float:
    """Answers a second, asked by a process of its own. Every answer has to be a 200."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_ask, (port, requests, connections, seconds))


def _ask(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> float:
    return asyncio.run(_asking(port, requests, connections, seconds))


async def _asking(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    asks = [
        (await loop.create_connection(lambda n=n: Ask(requests[n:]), "127.0.0.1", port))[1]
        for n in range(connections)
    ]
    await asyncio.sleep(seconds / 4)
    before, since = sum(ask.answers for ask in asks), time.perf_counter()
    await asyncio.sleep(seconds)
    after, took = sum(ask.answers for ask in asks), time.perf_counter() - since
    if refused := sum(ask.refused for ask in asks):
        raise RuntimeError(f"{refused} answers were refusals")
    return (after - before) / took
