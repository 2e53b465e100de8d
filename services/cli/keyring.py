"""The keys of the register as a file that is replaced while services run: who may write it, and how."""

import fcntl
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from services.cli.credentials import Credentials
from services.cli.directory import DataDirectory, read, write_private
from services.cli.failures import Failure
from services.cli.premises import SECRETS_VARIABLE

_LARGEST = 255

Keys = Mapping[int, str]


class Keyring:
    """Keys by id, in hex. The file counts; what the town was started with follows it."""

    def __init__(self, path: Path, data_dir: Path, credentials: Credentials) -> None:
        self.path = path
        self._credentials = credentials
        # In a container the secrets are not ours to write: they come from its environment.
        outside = SECRETS_VARIABLE in os.environ
        self._secrets = None if outside else DataDirectory(data_dir).secrets

    @contextmanager
    def locked(self) -> Generator[None]:
        """One rotation at a time. Raises Failure if another is at work."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self.path.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Failure("The keys are being rotated already.") from None
        finally:
            os.close(descriptor)

    def keys(self) -> dict[int, str]:
        if self.path.exists():
            return {int(key_id): str(key) for key_id, key in read(self.path).items()}
        return {int(key_id): key for key_id, key in self._credentials.encryption_keys.items()}

    def begin(self) -> dict[int, str]:
        """Add a key, unless a rotation was begun and not finished: then there are two."""
        keys = self.keys()
        if len(keys) == 1:
            newest = max(keys) + 1
            if newest > _LARGEST:
                raise Failure("There are no more key ids.")
            keys[newest] = secrets.token_hex(32)
        self._write(keys)
        return keys

    def retire(self) -> None:
        """Keep the newest key alone."""
        keys = self.keys()
        newest = max(keys)
        self._write({newest: keys[newest]})

    def _write(self, keys: Keys) -> None:
        content = {str(key_id): key for key_id, key in sorted(keys.items())}
        if self._secrets is not None:
            # First of all where the town starts from: a key that only a file has which is lost would
            # take everything with it.
            kept = asdict(
                replace(
                    self._credentials, encryption_keys=content, town=self._credentials.fingerprint
                )
            )
            write_private(self._secrets, read(self._secrets) | kept)
        if not self.path.exists() or read(self.path) != content:
            write_private(self.path, content)
