"""Uploaded ledgers at rest: encrypted, kept for a while, then deleted."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

from services.residents_api.domain.sealing import Sealer

_COLUMN = "ledger_import.file"


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
        """The plain file, for as long as it is read, for this process only.

        Raises FileNotFoundError once the file has been deleted, SealBroken if it was altered.
        """
        # A file without a name where there can be one: a process that is killed leaves nothing
        # readable behind.
        nameless = sys.platform == "linux"
        with tempfile.TemporaryFile() if nameless else tempfile.NamedTemporaryFile() as file:
            await asyncio.to_thread(self._unseal, import_id, key, file)
            yield Path(f"/proc/self/fd/{file.fileno()}" if nameless else file.name)

    def _unseal(self, import_id: UUID, key: str, to: IO[bytes]) -> None:
        sealed = (self._directory / key).read_bytes()
        to.write(self._sealer.open_bytes(_COLUMN, sealed, blind_index=import_id.bytes))
        to.flush()

    async def delete(self, key: str) -> None:
        await asyncio.to_thread((self._directory / key).unlink, missing_ok=True)
