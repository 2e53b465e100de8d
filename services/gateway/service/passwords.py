"""Passwords: hashed and checked on threads of their own, so many at a time and no more.

Checking one takes a core for some 40 ms. On the event loop it would hold up every other request;
on the loop's common threads, a flood of sign-ins would.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from services.gateway.errors import SignInBusy

# Argon2id as OWASP has it for one lane: a check uses one core, not all of them.
_HASHER = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=47104, parallelism=1)])


async def hashed(password: str) -> str:
    """The hash to keep. For the rare making of an account: on the loop's common threads."""
    return await asyncio.to_thread(_HASHER.hash, password)


class Passwords:
    """Checks passwords for those who sign in."""

    def __init__(self, *, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._slots = asyncio.Semaphore(threads)
        self._room = threads + waiting
        self._decoy = ""

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """A turn. Raises SignInBusy when too many wait already."""
        if not self._room:
            raise SignInBusy()
        self._room -= 1
        try:
            async with self._slots:
                yield
        finally:
            self._room += 1

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether the password is the one kept. Takes as long when none is: the time tells nobody
        which names exist.
        """
        loop = asyncio.get_running_loop()
        if not self._decoy:
            decoy = secrets.token_hex()
            self._decoy = await loop.run_in_executor(self._pool, _HASHER.hash, decoy)
        same = await loop.run_in_executor(self._pool, _HASHER.verify, password, kept or self._decoy)
        return same and kept is not None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
