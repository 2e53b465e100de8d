"""The demo town's import, as a ratio to psql's `\\copy` of the same final rows.

The baseline copies what the import left (register, statements, row outcomes and feed events) into
empty tables with the same indexes, on the same server with the settings it ships with. The import
reads CSV files, checks, encrypts and merges; making the files is not counted.
"""

import asyncio
import secrets
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from services.cli import database
from services.cli.loading import Village, import_all
from services.cli.postgres import EmbeddedPostgres, binary
from services.cli.synth import housing, ledger
from services.cli.synth.town import town
from services.common.settings import DatabaseSettings, SecuritySettings
from services.residents_api.service import areas, imports
from services.residents_api.settings import Settings

TARGET = 10.0
_ROUNDS = 3
_TOWN = "510182104"
_SERVICE = "residents_api"
# Not rows that an import leaves behind.
_LEFT_OUT = ("alembic_version", "division", "feed_head", "ledger_staging", "idempotency_key")


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="shequ-bench-") as directory:
        here = Path(directory)
        server = EmbeddedPostgres.at(here / "postgres", password=secrets.token_hex(8))
        server.start()
        try:
            return _measure(server, here)
        finally:
            server.stop()


def _measure(server: EmbeddedPostgres, here: Path) -> Result:
    ledgers = _ledgers(here / "ledgers")
    imported: list[float] = []
    copied: list[float] = []
    for round_number in range(_ROUNDS):
        full = _database(server, f"full_{round_number}")
        imported.append(_import(full, here / f"kept_{round_number}", ledgers))
        empty = _database(server, f"empty_{round_number}")
        tables = _tables(full)
        copied.append(_copy(full, empty, tables, here / f"copy_{round_number}"))
        print(f"round {round_number + 1}: import {imported[-1]:.2f} s, copy {copied[-1]:.2f} s")
    return Result(min(imported) / min(copied))


def _ledgers(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    made = town(
        today=datetime.now(UTC).date(),
        villages=housing.read_villages(areas.DIVISIONS, within=_TOWN),
    )
    paths: dict[str, Path] = {}
    for village, rows in made.ledgers.items():
        paths[village] = folder / f"{village}.csv"
        ledger.write_csv(paths[village], rows)
    return paths


def _database(server: EmbeddedPostgres, name: str) -> str:
    asyncio.run(database.create_database(server.url(database="postgres"), name=name))
    admin = server.url(database=name)
    return database.set_up(admin, dict.fromkeys(database.SERVICES, "bench"))[_SERVICE]


def _import(url: str, kept: Path, ledgers: dict[str, Path]) -> float:
    settings = Settings(
        database=DatabaseSettings(url=SecretStr(url)),
        security=SecuritySettings(issuer="http://localhost", jwks_url="http://localhost"),
        encryption_keys={1: SecretStr(secrets.token_hex(32))},
        index_key=SecretStr(secrets.token_hex(32)),
        ledger_directory=kept,
    )

    async def load() -> float:
        async with imports.own_engine(settings) as engine:
            async with engine.sessions.write() as session:
                await areas.load_divisions(session)
            started = time.perf_counter()
            villages = [Village(path, code, 0) for code, path in ledgers.items()]
            await import_all(engine, villages, lambda: None)
            return time.perf_counter() - started

    return asyncio.run(load())


def _tables(url: str) -> Sequence[str]:
    listed = _psql(
        url,
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
    )
    return [name for name in listed.split() if name not in _LEFT_OUT]


def _copy(full: str, empty: str, tables: Sequence[str], folder: Path) -> float:
    folder.mkdir()
    for table in tables:
        _psql(full, f"\\copy {table} to '{folder / table}'")
    started = time.perf_counter()
    _psql(empty, *(f"\\copy {table} from '{folder / table}'" for table in tables))
    return time.perf_counter() - started


def _psql(url: str, *commands: str) -> str:
    arguments = [argument for command in commands for argument in ("-c", command)]
    return subprocess.run(
        [str(binary("psql")), url, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
