"""Real parts for every test: PostgreSQL with scram and a role per service, real apps, real commits.

Each test that asks for one gets a database of its own, cloned in a few milliseconds from a migrated
template. So tests commit for real, follow feeds, listen and race, and never see each other.
"""

import asyncio
import secrets
import signal
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from tests.houses import Identity

# A service whose background work fails ends its process by SIGTERM. In a test that process is the
# test runner's: it says so in the log and lives on. Programs started by tests are not affected.
signal.signal(signal.SIGTERM, lambda *_: None)

_PASSWORDS = dict.fromkeys(database.SERVICES, "for-tests")
_TEMPLATE = "template_shequ"
_FOR_SPEED = {
    # A test database is thrown away; what a crash would lose, nobody wants back.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "file_copy_method": "clone",
}


@dataclass(frozen=True, slots=True)
class Database:
    """One database: the URL of each service's role, and the superuser's."""

    name: str
    admin_url: str
    urls: dict[str, str]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedPostgres]:
    """One server per test process."""
    directory = tmp_path_factory.mktemp("postgres") / "server"
    server = EmbeddedPostgres.at(directory, password=secrets.token_hex(8), settings=_FOR_SPEED)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    asyncio.run(database.create_database(postgres.url(database="postgres"), name=_TEMPLATE))
    database.set_up(postgres.url(database=_TEMPLATE), _PASSWORDS)
    return _TEMPLATE


@pytest.fixture
async def db(postgres: EmbeddedPostgres, template: str) -> AsyncGenerator[Database]:
    """A fresh, migrated, empty database."""
    name = f"test_{secrets.token_hex(6)}"
    maintenance = postgres.url(database="postgres")
    connection = await database.connect(maintenance)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    admin_url = postgres.url(database=name)
    urls = {
        role: database.role_url(admin_url, role=role, password=_PASSWORDS[role])
        for role in database.SERVICES
    }
    yield Database(name, admin_url, urls)
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


class FixedClock:
    """A clock that stands still until told."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


@pytest.fixture
def clock() -> FixedClock:
    """Noon in Shanghai on a working day."""
    return FixedClock(datetime(2026, 11, 23, 4, 0, tzinfo=UTC))


@pytest.fixture
def data() -> Path:
    return Path(__file__).parent / "data"


@pytest.fixture
def identity(clock: FixedClock) -> Identity:
    return Identity(clock)


class _JourneysTogether(LoadScopeScheduling):
    """All journeys go to one process, for they share a running town; everything else to any."""

    def _split_scope(self, nodeid: str) -> str:
        return "journeys" if nodeid.startswith("tests/journeys/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _JourneysTogether:
    return _JourneysTogether(config, log)
