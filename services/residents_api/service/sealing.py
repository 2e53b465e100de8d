"""The register's sealer, from its settings; and its keys, which change while it runs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.residents_api.domain.sealing import Sealer
from services.residents_api.settings import Settings


def sealer(settings: Settings) -> Sealer:
    return Sealer(keys=keys(settings), index_key=_bytes(settings.index_key.get_secret_value()))


def keys(settings: Settings) -> Mapping[int, bytes]:
    """The encryption keys by id: of the file, if there is one, for as long as this lives."""
    first = {
        key_id: _bytes(key.get_secret_value()) for key_id, key in settings.encryption_keys.items()
    }
    return first if settings.key_file is None else KeyFile(settings.key_file, first)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


class KeyFile(Mapping[int, bytes]):
    """Keys by id, from a file that is replaced as a whole: `{"2": "<32 bytes in hex>"}`.

    Whoever seals looks whether the file is still the same, which takes a microsecond: from the
    instant a new key is there, nothing is sealed with an old one. Whoever opens looks if they meet
    an id that they do not know. So keys rotate under services that run (ADR-0011).
    """

    def __init__(self, path: Path, first: Mapping[int, bytes]) -> None:
        self._path = path
        self._keys = dict(first)
        self._seen: tuple[int, int, int] | None = None

    def __getitem__(self, key_id: int) -> bytes:
        if key_id not in self._keys or self._seen is None:
            self._look()
        return self._keys[key_id]

    def __iter__(self) -> Iterator[int]:
        self._look()
        return iter(self._keys)

    def __len__(self) -> int:
        self._look()
        return len(self._keys)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process gets the keys of now, for the one piece of work that they go with."""
        self._look()
        return dict, (dict(self._keys),)

    def _look(self) -> None:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                self._keys = read_keys(self._path)
                self._seen = seen
        except FileNotFoundError:
            return  # nothing was rotated yet


def read_keys(path: Path) -> dict[int, bytes]:
    """Raises FileNotFoundError."""
    said: dict[str, str] = json.loads(path.read_text(encoding="ascii"))
    return {int(key_id): bytes.fromhex(key) for key_id, key in said.items()}
