"""What the import benchmarks share: a server, the import, its baseline and its memory."""

import asyncio
import os
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import SecretStr

from services.cli import database
from services.cli.loading import Village, import_all
from services.cli.postgres import EmbeddedPostgres, binary
from services.cli.synth import housing, ledger, population
from services.common.settings import DatabaseSettings, SecuritySettings
from services.residents_api.service import areas, imports
from services.residents_api.settings import Settings

SERVICE = "residents_api"
CITY = "510182"
RESIDENTS = 870_000
# Not rows that an import leaves behind.
_LEFT_OUT = ("alembic_version", "division", "feed_head", "ledger_staging", "idempotency_key")
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float


@contextmanager
def serving() -> Generator[tuple[EmbeddedPostgres, Path]]:
    """A server with the settings it ships with, and a directory; both go at the end."""
    with tempfile.TemporaryDirectory(prefix="shequ-bench-") as directory:
        here = Path(directory)
        server = EmbeddedPostgres.at(here / "postgres", password=secrets.token_hex(8))
        server.start()
        try:
            yield server, here
        finally:
            server.stop()


@dataclass(slots=True)
class Memory:
    """The most that this process and those it started held at once, without PostgreSQL's, in bytes.

    PSS, so that what they share is counted once.
    """

    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Generator["Memory"]:
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            self._over.set()
            watcher.join()

    def _watch(self) -> None:
        own = psutil.Process(os.getpid())
        while not self._over.wait(_LOOK_SECONDS):
            processes = [own, *own.children(recursive=True)]
            self.peak = max(self.peak, sum(_pss(process) for process in processes))


def _pss(process: psutil.Process) -> int:
    try:
        return 0 if process.name() == "postgres" else process.memory_full_info().pss
    except psutil.Error:
        return 0  # it has ended


class Register:
    """An empty register with the list of divisions, and what imports need to fill it."""

    def __init__(self, server: EmbeddedPostgres, name: str, kept: Path) -> None:
        self.url = empty_database(server, name)
        self._settings = Settings(
            database=DatabaseSettings(url=SecretStr(self.url)),
            security=SecuritySettings(issuer="http://localhost", jwks_url="http://localhost"),
            encryption_keys={1: SecretStr(secrets.token_hex(32))},
            index_key=SecretStr(secrets.token_hex(32)),
            ledger_directory=kept,
        )

    def imported(self, ledgers: Mapping[str, Path]) -> float:
        """Import one ledger per village code; the seconds that takes."""

        async def load() -> float:
            async with imports.own_engine(self._settings) as engine:
                async with engine.sessions.write() as session:
                    await areas.load_divisions(session)
                started = time.perf_counter()
                villages = [Village(path, code, 0) for code, path in ledgers.items()]
                await import_all(engine, villages, lambda: None)
                return time.perf_counter() - started

        return asyncio.run(load())

    def copied(self, server: EmbeddedPostgres, name: str, folder: Path) -> float:
        """The seconds `\\copy` takes for all these rows into empty tables with the same indexes."""
        listed = psql(
            self.url,
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
        )
        tables = [table for table in listed.split() if table not in _LEFT_OUT]
        empty = empty_database(server, name)
        folder.mkdir()
        for table in tables:
            psql(self.url, f"\\copy {table} to '{folder / table}'")
        started = time.perf_counter()
        # As a restore does, and as the import's own tables were: no trigger derives rows meanwhile.
        psql(
            empty,
            *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables),
            *(f"\\copy {table} from '{folder / table}'" for table in tables),
        )
        return time.perf_counter() - started


def city(folder: Path) -> dict[str, Path]:
    """A ledger for each village of the city, 870,000 residents in all."""
    folder.mkdir()
    villages = housing.read_villages(areas.DIVISIONS, within=CITY)
    made = population.city(residents=RESIDENTS, villages=villages, today=datetime.now(UTC).date())
    paths: dict[str, Path] = {}
    for village, rows in made:
        paths[village] = folder / f"{village}.csv"
        ledger.write_csv(paths[village], rows)
    return paths


def empty_database(server: EmbeddedPostgres, name: str) -> str:
    """The register's own DSN of a new database with its tables."""
    asyncio.run(database.create_database(server.url(database="postgres"), name=name))
    admin = server.url(database=name)
    return database.set_up(admin, dict.fromkeys(database.SERVICES, "bench"))[SERVICE]


def psql(url: str, *commands: str) -> str:
    arguments = [argument for command in commands for argument in ("-c", command)]
    return subprocess.run(
        [str(binary("psql")), url, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
