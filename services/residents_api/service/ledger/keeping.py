"""Uploaded ledgers at rest: encrypted, kept for a while, then deleted."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import IO
from uuid import UUID

from services.residents_api.domain.sealing import Sealer

_COLUMN = "ledger_import.file"
_WORKPLACE = "work-"


class LedgerStore:
    """A directory of sealed files, named by import."""

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    async def keep(self, import_id: UUID, content: bytes) -> str:
        """Seal and store; returns the key to find it by. On disk before the import is queued."""
        return await asyncio.to_thread(self._keep, import_id, content)

    def _keep(self, import_id: UUID, content: bytes) -> str:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        sealed = self._sealer.seal_bytes(_COLUMN, content, blind_index=import_id.bytes)
        path = self._directory / f"{import_id}.sealed"
        private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        return path.name

    @asynccontextmanager
    async def opened(self, import_id: UUID, key: str) -> AsyncGenerator[Path]:
        """The plain file, for as long as it is read, for this process and those it starts.

        Raises FileNotFoundError once the file has been deleted, SealBroken if it was altered.
        """
        # A file without a name where there can be one: a process that is killed leaves nothing
        # readable behind.
        nameless = sys.platform == "linux"
        with tempfile.TemporaryFile() if nameless else tempfile.NamedTemporaryFile() as file:
            await asyncio.to_thread(self._unseal, import_id, key, file)
            yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}" if nameless else file.name)

    def _unseal(self, import_id: UUID, key: str, to: IO[bytes]) -> None:
        sealed = (self._directory / key).read_bytes()
        to.write(self._sealer.open_bytes(_COLUMN, sealed, blind_index=import_id.bytes))
        to.flush()

    @asynccontextmanager
    async def workplace(self) -> AsyncGenerator[Path]:
        """A directory for what is plain while a file is made; `sweep` deletes it if we are killed."""
        place = await asyncio.to_thread(self._workplace)
        try:
            yield place
        finally:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)

    def _workplace(self) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(tempfile.mkdtemp(prefix=_WORKPLACE, dir=self._directory))

    async def sweep(self, *, before: datetime) -> None:
        """Delete workplaces that nobody has worked at since an instant."""
        await asyncio.to_thread(self._sweep, before.timestamp())

    def _sweep(self, before: float) -> None:
        for place in self._directory.glob(f"{_WORKPLACE}*"):
            if place.stat().st_mtime < before:
                shutil.rmtree(place, ignore_errors=True)

    async def keys(self, *, before: datetime) -> list[str]:
        """Of the files that were stored before an instant."""
        return await asyncio.to_thread(self._keys, before.timestamp())

    def _keys(self, before: float) -> list[str]:
        return [
            path.name for path in self._directory.glob("*.sealed") if path.stat().st_mtime < before
        ]

    async def all_keys(self) -> list[str]:
        return await asyncio.to_thread(self._keys, float("inf"))

    async def renew(self, import_id: UUID, key: str) -> None:
        """Seal a file with the newest key, if it is not. Raises FileNotFoundError, SealBroken."""
        await asyncio.to_thread(self._renew, import_id, key)

    def _renew(self, import_id: UUID, key: str) -> None:
        path = self._directory / key
        with path.open("rb") as file:
            if file.read(1) == bytes([max(self._sealer.keys)]):
                return
        plain = self._sealer.open_bytes(_COLUMN, path.read_bytes(), blind_index=import_id.bytes)
        sealed = self._sealer.seal_bytes(_COLUMN, plain, blind_index=import_id.bytes)
        renewed = path.with_suffix(".renewed")
        renewed.unlink(missing_ok=True)
        private = os.open(renewed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():  # deleted meanwhile: it stays so
            renewed.replace(path)
        renewed.unlink(missing_ok=True)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread((self._directory / key).unlink, missing_ok=True)
