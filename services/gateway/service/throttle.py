"""Guessing is slow: failures are counted by name and by address, in the database.

So workers share the count, and it survives the refusal, in a transaction of its own. Whoever checks
a password does so in a slot (`passwords.slot`) and asks here first within it: at most as many
guesses as there are slots can overshoot the limit.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from math import ceil

import structlog

from services.common.clock import Clock
from services.common.database import Sessions, WriteSession
from services.common.identifiers import new_id
from services.gateway.errors import TooManyAttempts
from services.gateway.models import SignInFailure
from services.gateway.repository import sign_ins
from services.gateway.settings import SignInSettings

log = structlog.get_logger(__name__)


class Attempt:
    """One attempt to prove who one is, by name and from an address; both known by their hash."""

    def __init__(self, *, kind: str, name: str, peer: str) -> None:
        self.name_key = _digest(kind, name)
        self.peer_key = _digest("peer", network(peer))


def network(peer: str) -> str:
    """The address; of IPv6 its /64, for whoever has one address there has them all."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _digest(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{value}".encode()).digest()


class Throttle:
    def __init__(self, sessions: Sessions, *, clock: Clock, settings: SignInSettings) -> None:
        self._sessions = sessions
        self._clock = clock
        self._settings = settings
        self._window = timedelta(seconds=settings.window_seconds)

    async def check(self, attempt: Attempt) -> None:
        """Raises TooManyAttempts, with the time after which the next attempt is let through."""
        now = self._clock.now()
        limits: Mapping[bytes, int] = {
            attempt.name_key: self._settings.failures_per_account,
            attempt.peer_key: self._settings.failures_per_peer,
        }
        async with self._sessions.read() as session:
            failed = await sign_ins.failures(session, limits.keys(), since=now - self._window)
        waits = [
            (found.first + self._window - now).total_seconds()
            for key, found in failed.items()
            if found.count >= limits[key]
        ]
        if waits:
            raise TooManyAttempts(seconds=max(1, ceil(max(waits))))

    async def failed(self, attempt: Attempt) -> None:
        now = self._clock.now()
        async with self._sessions.write() as session:
            session.add_all(
                SignInFailure(key=key, id=new_id(), at=now)
                for key in (attempt.name_key, attempt.peer_key)
            )
        log.info("sign_in.refused", name_hash=attempt.name_key.hex()[:8])

    async def succeeded(self, session: WriteSession, attempt: Attempt) -> None:
        """The name's failures are forgiven; the address's are not, for they were at other names."""
        await sign_ins.forget_failures(session, attempt.name_key)
