"""Signed webhooks, as Standard Webhooks has them: ids and counts leave, and no text.

Whoever receives one reads the campaign through the API, with rights of their own. An officer's URL
must not reach what stands inside: names are resolved here, every address must be public (or its
host be named in the settings), the connection goes to just those addresses, and nobody is followed
to another place.
"""

import json
import socket
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from services.tagging_api.domain import addresses, seals
from services.tagging_api.service.channels.base import Load, NotTaken

TYPE: Final = "cn.shequ.tagging.campaign.delivery"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)


class _PublicOnly(AbstractResolver):
    """Resolves names to public addresses, and to nothing if one of them is not."""

    def __init__(self, but: Collection[str]) -> None:
        self._but = but
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        if host not in self._but and not all(addresses.is_public(one["host"]) for one in found):
            raise OSError("an address that is not public")
        return found

    async def close(self) -> None:
        await self._names.close()


class Webhooks:
    """Posts parcels. What failed is tried again with the same id, by which a receiver knows it."""

    knows_repetition = True
    needs_text = False

    def __init__(self, session: aiohttp.ClientSession, *, hosts: Collection[str]) -> None:
        self._session = session
        self._hosts = hosts

    async def carry(self, load: Load) -> None:
        if load.receiver is None:
            raise NotTaken("webhook.endpoint_missing", final=True)
        if not may_be_called(load.receiver.url, hosts=self._hosts):
            raise NotTaken("webhook.url_refused", final=True)
        body = _document(load)
        timestamp = int(load.at.timestamp())
        message_id = str(load.id)
        signature = seals.signature(
            load.receiver.secret, message_id=message_id, timestamp=timestamp, body=body
        )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "shequ-webhooks/1",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }
        try:
            async with self._session.post(
                load.receiver.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
            # Whether it has arrived nobody knows: its id makes that no matter.
            raise NotTaken(f"http.{type(failed).__name__}") from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotTaken(f"http.status_{status}", gone=status == HTTPStatus.GONE)


def _document(load: Load) -> bytes:
    ids = [str(letter.resident_id) for letter in load.letters if letter.resident_id is not None]
    data = {
        "campaign_id": str(load.campaign_id),
        "topic": load.topic,
        "emergency": load.emergency,
        "count": len(ids),
        "resident_ids": ids,
    }
    document = {"type": TYPE, "timestamp": load.at.isoformat(), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def may_be_called(url: str, *, hosts: Collection[str]) -> bool:
    """Whether a URL is one that webhooks may go to, as far as can be told without resolving it."""
    host = addresses.host_of(url)
    if host is None:
        return False
    # The resolver is not asked about what is an address already.
    return host in hosts or not addresses.is_literal(host) or addresses.is_public(host)


@asynccontextmanager
async def opened(hosts: Collection[str]) -> AsyncGenerator[Webhooks]:
    """The channel, with connections of its own."""
    connector = aiohttp.TCPConnector(resolver=_PublicOnly(hosts), limit=32, use_dns_cache=False)
    # The environment's proxies would resolve names by themselves.
    async with aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Webhooks(session, hosts=hosts)
