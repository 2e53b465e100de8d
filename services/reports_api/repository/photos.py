"""Where the bytes of photos are: a directory, or a bucket."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from services.common.problems import Unavailable
from services.reports_api.errors import PhotoNotFound

log = structlog.get_logger(__name__)

_CHUNK_BYTES: Final = 256 * 1024


class PhotoStore:
    """Objects by key. Every failure of the store is an Unavailable."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def at(cls, url: str) -> "PhotoStore":
        """Open the store that a URL names. A directory is made if missing, and is nobody else's."""
        parts = urlsplit(url)
        if parts.scheme != "file":
            return cls(from_url(url))
        directory = Path(unquote(parts.path))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(LocalStore(directory))

    async def put(self, key: str, content: bytes) -> None:
        try:
            await obstore.put_async(self._store, key, content)
        except (BaseError, OSError) as failed:
            raise _unavailable(failed) from None

    async def get(self, key: str) -> tuple[int, AsyncGenerator[bytes]]:
        """The size in bytes, and the bytes piece by piece. Raises PhotoNotFound."""
        try:
            found = await obstore.get_async(self._store, key)
        except FileNotFoundError:
            # The row says that there is one: objects were lost, or this is another store.
            log.error("photo.lost")
            raise PhotoNotFound() from None
        except (BaseError, OSError) as failed:
            raise _unavailable(failed) from None

        async def pieces() -> AsyncGenerator[bytes]:
            async for piece in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(piece)

        return found.meta["size"], pieces()

    async def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as failed:
            raise _unavailable(failed) from None


def _unavailable(failed: Exception) -> Unavailable:
    log.warning("photo_store.failed", error=type(failed).__name__)
    return Unavailable()
