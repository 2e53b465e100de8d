"""The data directory: what a town keeps between two starts, and who is using it now."""

import contextlib
import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from services.cli.failures import Failure

LAYOUT = 1

Database = Literal["embedded", "external"]


@dataclass(frozen=True, slots=True)
class Run:
    """A running `shequ up`: its process, the ports, and the process of each service."""

    pid: int
    ports: Mapping[str, int]
    pids: Mapping[str, int]


class DataDirectory:
    """A directory of ours. Opening one that is another's, or of another version, is a Failure."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        with self._refusing():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check()

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def secrets(self) -> Path:
        return self.folder("secrets") / "secrets.json"

    @property
    def logs(self) -> Path:
        return self.folder("logs")

    def folder(self, name: str) -> Path:
        """A directory in it that nobody else may enter."""
        with self._refusing():
            made = self.path / name
            made.mkdir(exist_ok=True, mode=0o700)
            return made

    @property
    def settled(self) -> bool:
        """Whether there is data: some start has got so far as to have a database."""
        return "database" in self._layout_read()

    def check(self, database: Database) -> None:
        """Raises Failure if the data is elsewhere."""
        found = self._layout_read().get("database", database)
        if found == "external" and database == "embedded":
            raise Failure(
                f"The data of {self.path} is on a database server: name it with --database-url."
            )
        if found == "embedded" and database == "external":
            raise Failure(
                f"The data of {self.path} is in its own database;"
                " give another --data-dir together with --database-url."
            )

    def settle(self, database: Database) -> None:
        """Remember where the data is."""
        if not self.settled:
            with self._refusing():
                write_private(self._layout, {"layout": LAYOUT, "database": database})

    def _layout_read(self) -> dict[str, Any]:
        return read(self._layout) if self._layout.exists() else {}

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the directory alone, as `up` does. Raises Failure if somebody else does."""
        with self._refusing():
            # Not closed by `with` before the lock is given back; and children do not inherit it.
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Failure(f"Another shequ is using {self.path}; stop it first.") from None
        try:
            if not self._layout.exists():
                with self._refusing():
                    write_private(self._layout, {"layout": LAYOUT})
            yield
        finally:
            os.close(descriptor)

    def run(self) -> Run | None:
        """The `up` that runs on this directory, if one does."""
        try:
            with self.locked():
                return None
        except Failure:
            return self.last_run()

    def last_run(self) -> Run | None:
        """The run that was not ended properly, or has not ended yet."""
        try:
            content = read(self._run)
            return Run(content["pid"], dict(content["ports"]), dict(content["pids"]))
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def write_run(self, run: Run) -> None:
        write_private(self._run, asdict(run))

    def forget_run(self) -> None:
        with contextlib.suppress(OSError):
            self._run.unlink(missing_ok=True)

    @property
    def _layout(self) -> Path:
        return self.path / "layout.json"

    @property
    def _run(self) -> Path:
        return self.path / "run.json"

    def _check(self) -> None:
        if not self._layout.exists():
            if {entry.name for entry in self.path.iterdir()} - {"lock", "layout.json.new"}:
                raise Failure(
                    f"{self.path} is not a data directory of shequ: there are other files in it."
                )
        elif (found := self._layout_read().get("layout")) != LAYOUT:
            raise Failure(
                f"{self.path} was made by another version of shequ"
                f" (layout {found}; this one has {LAYOUT})."
            )

    @contextmanager
    def _refusing(self) -> Generator[None]:
        try:
            yield
        except OSError as refused:
            raise Failure(
                f"The data directory {self.path} cannot be written: {refused.strerror}."
            ) from None


def read(path: Path) -> dict[str, Any]:
    """A JSON object. Raises Failure if the file holds none."""
    try:
        return dict[str, Any](json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise Failure(f"{path} is damaged.") from None


def write_private(path: Path, content: Mapping[str, Any] | str) -> None:
    """Write a file that only its owner can read: whole, or not at all."""
    text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
