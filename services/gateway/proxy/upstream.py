"""The client of the data path, behind an interface of three verbs.

aiohttp stays in this file: the fastest streaming client measured (DESIGN's table), and exchangeable.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import aiohttp
from yarl import URL

from services.common.problems import Problem, Unavailable
from services.gateway.errors import UpstreamFailed, UpstreamTimedOut
from services.gateway.settings import ProxySettings

RawHeaders = Sequence[tuple[bytes, bytes]]
# What aiohttp would add on its own; the client's own word, or its silence, is passed on instead.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class BrokenOff(Exception):
    """The answer ended before it was complete."""


class Answer(Protocol):
    """An answer whose head has arrived. Whoever has one closes it."""

    status: int
    headers: RawHeaders

    async def read(self) -> bytes:
        """Some more of the body, as soon as there is any; empty at the end. Raises BrokenOff."""
        ...

    @property
    def at_end(self) -> bool:
        """True if it is known already that nothing follows."""
        ...

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else end it."""
        ...


class UpstreamClient(Protocol):
    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Answer:
        """Send a request and wait for the head of the answer.

        A request that may be sent twice (RFC 9110 9.2.2) is, once, if the connection was closed
        before an answer came. Raises Unavailable, UpstreamFailed or UpstreamTimedOut.
        """
        ...


class AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: RawHeaders = response.raw_headers
        self._response = response
        self._content = response.content

    async def read(self) -> bytes:
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as broken:
            raise BrokenOff(type(broken).__name__) from None

    @property
    def at_end(self) -> bool:
        return self._content.at_eof()

    def close(self) -> None:
        self._response.release()


class AiohttpClient:
    """Made inside the event loop, and closed there."""

    def __init__(self, settings: ProxySettings) -> None:
        self._session = aiohttp.ClientSession(
            # Open requests are limited at the door (uvicorn's limit_concurrency), not here, where
            # they would wait for one another.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=settings.keep_alive_seconds),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.connect_seconds, sock_read=settings.idle_seconds
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> Answer:
        try:
            response = await self._session.request(
                method,
                # As it came: encoded once by the client, decoded once by the service.
                URL(url, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as failed:
            raise _problem_of(failed) from None
        return AiohttpAnswer(response)

    async def close(self) -> None:
        await self._session.close()


def _problem_of(failed: Exception) -> Problem:
    match failed:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return Unavailable()
        case TimeoutError():
            return UpstreamTimedOut()
        case _:
            return UpstreamFailed()
