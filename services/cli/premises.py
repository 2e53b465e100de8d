"""Where a town is: its secrets and its database, open for one command or for `up`."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import asyncpg

from services.cli import database, installation
from services.cli.credentials import Credentials
from services.cli.database import DATABASE, SERVICES
from services.cli.directory import DataDirectory
from services.cli.environments import Deployment
from services.cli.failures import Failure
from services.cli.ports import HOST
from services.cli.postgres import EmbeddedPostgres

# All secrets as one JSON object, where there is no data directory: in a container.
SECRETS_VARIABLE = "SHEQU_SECRETS"
DIVISIONS = Path(__file__).resolve().parents[1] / "residents_api" / "data" / "divisions.csv"


@dataclass(frozen=True, slots=True)
class Premises:
    """An open town. `server` and `process` are the embedded PostgreSQL, if it is ours to watch;
    `directory` is set when it is ours alone.
    """

    credentials: Credentials = field(repr=False)
    admin_url: str = field(repr=False)
    folders: Path
    directory: DataDirectory | None = None
    server: EmbeddedPostgres | None = None
    process: "Popen[bytes] | None" = None

    @property
    def databases(self) -> dict[str, str]:
        """The URL of each service's role."""
        return {
            role: database.role_url(
                self.admin_url, role=role, password=self.credentials.roles[role]
            )
            for role in SERVICES
        }

    def deployment(
        self, *, ports: Mapping[str, int] | None = None, log_level: str = "info"
    ) -> Deployment:
        """The town on this machine. Without ports: for what needs no neighbour."""
        addresses = {name: f"http://{HOST}:{(ports or {}).get(name, 0)}" for name in SERVICES}
        return Deployment(
            credentials=self.credentials,
            databases=self.databases,
            addresses=addresses,
            issuer=addresses["gateway"],
            folders=self.folders,
            log_level=log_level,
        )


@asynccontextmanager
async def started(directory: DataDirectory, database_url: str | None) -> AsyncGenerator[Premises]:
    """The town of a directory that the caller holds locked; its embedded server runs meanwhile."""
    directory.check("external" if database_url else "embedded")
    if directory.settled and not directory.secrets.exists():
        raise Failure(f"{directory.secrets} is missing; without it the data cannot be read.")
    credentials = Credentials.at(directory.secrets)
    for service in SERVICES:
        directory.folder(service)
    if database_url:
        yield Premises(credentials, database_url, directory.path, directory)
        return
    server = EmbeddedPostgres.at(directory.postgres, password=credentials.superuser)
    process = server.run()
    try:
        await database.create_database(server.url(database="postgres"))
        url = server.url(database=DATABASE)
        yield Premises(credentials, url, directory.path, directory, server, process)
    finally:
        server.stop()


@asynccontextmanager
async def opened(data_dir: Path, database_url: str | None) -> AsyncGenerator[Premises]:
    """The town, ready for one command: by itself, or beside the `up` that runs on it."""
    if SECRETS_VARIABLE in os.environ:
        given = _given(data_dir, database_url)
        await prepare(given)
        yield given
        return
    directory = DataDirectory(data_dir)
    if directory.run() is not None:
        yield _beside(directory, database_url)
        return
    with directory.locked():
        async with started(directory, database_url) as premises:
            await prepare(premises)
            yield premises


def _given(data_dir: Path, database_url: str | None) -> Premises:
    try:
        credentials = Credentials.parse(json.loads(os.environ[SECRETS_VARIABLE]))
    except ValueError:
        raise Failure(f"{SECRETS_VARIABLE} is no JSON.") from None
    if database_url is None:
        raise Failure(f"{SECRETS_VARIABLE} is set: name the database too, with --database-url.")
    return Premises(credentials, database_url, data_dir.absolute())


def _beside(directory: DataDirectory, database_url: str | None) -> Premises:
    directory.check("external" if database_url else "embedded")
    credentials = Credentials.at(directory.secrets)
    server = EmbeddedPostgres.at(directory.postgres, password=credentials.superuser)
    url = database_url or server.url(database=DATABASE)
    return Premises(credentials, url, directory.path)


async def prepare(premises: Premises) -> dict[str, str]:
    """Roles, schemas, tables and divisions, each if it is not there; what the database remembers.

    Nothing that is there already takes time: a second start goes through here too.
    """
    connection = await database.connect(premises.admin_url)
    try:
        # Before any password is set: keys that do not fit change nothing.
        town = premises.credentials.fingerprint
        remembered = await installation.opened(connection, fingerprint=town)
        await database.set_roles(connection, premises.credentials.roles, town=town)
        for service, url in premises.databases.items():
            if not await database.is_current(connection, service):
                await asyncio.to_thread(database.migrate, service, url)
        await _load_divisions(premises, connection, remembered)
    except asyncpg.InsufficientPrivilegeError:
        raise Failure(
            "The database's user may not create schemas and roles; use one that may."
        ) from None
    except asyncpg.PostgresError as refused:
        raise Failure(
            f"The database could not be set up for the services ({type(refused).__name__})."
        ) from None
    finally:
        await connection.close()
    if premises.directory is not None:
        premises.directory.settle("embedded" if premises.server else "external")
    return remembered


async def _load_divisions(premises: Premises, connection: Any, remembered: dict[str, str]) -> None:
    digest = hashlib.sha256(DIVISIONS.read_bytes()).hexdigest()[:16]
    if remembered.get("divisions") == digest:
        return
    # Here, for a start that has nothing to load does without the register's modules.
    from services.cli import loading  # noqa: PLC0415

    await loading.load_divisions(premises.deployment(), DIVISIONS)
    await installation.remember(connection, "divisions", digest)
    remembered["divisions"] = digest
