"""The register, open on a database of its own."""

import signal
from collections.abc import AsyncGenerator, Generator
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.cli.synth.housing import Village
from services.cli.synth.ledger import write_csv
from services.cli.synth.population import people
from services.common import database, outbox
from services.common.database import Sessions
from services.common.settings import DatabaseSettings
from services.residents_api.main import create_app
from services.residents_api.service import areas, imports
from services.residents_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity, opened
from tests.residents_api.people import VILLAGE


@pytest.fixture(autouse=True)
def _eager_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker looks for imports often, so that no test waits for it."""
    monkeypatch.setattr(imports, "_LOOK_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def deaths() -> Generator[list[int]]:
    """Work in the background that fails ends its process: here it fails the test."""
    died: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: died.append(number))
    yield died
    signal.signal(signal.SIGTERM, before)
    assert died == [], "work in the background has failed"


@pytest.fixture
def settings(db: Database, identity: Identity, tmp_path: Path) -> Settings:
    return Settings(
        database=DatabaseSettings(url=SecretStr(db.urls["residents_api"]), pool_size=4),
        security=identity.security,
        encryption_keys={1: SecretStr("11" * 32)},
        index_key=SecretStr("22" * 32),
        ledger_directory=tmp_path / "ledgers",
        import_processes=1,
    )


@pytest.fixture
async def register(
    settings: Settings, identity: Identity, clock: FixedClock
) -> AsyncGenerator[App]:
    app = create_app(settings, clock=clock, transports={"gateway": identity.transport})
    async with opened(app, identity) as open_app:
        yield open_app


@pytest.fixture
async def sessions(settings: Settings) -> AsyncGenerator[Sessions]:
    """The register's tables, past the door: for what no answer shows."""
    engine = database.engine(settings.database, application="tests")
    yield database.sessions(engine)
    await engine.dispose()


@pytest.fixture
async def divisions(sessions: Sessions, clock: FixedClock) -> None:
    """The city's divisions, loaded and told."""
    await outbox.open_feed(sessions)
    async with sessions.write() as session:
        await areas.load_divisions(session)
    await outbox.Publisher(sessions, service="residents_api", clock=clock).publish()


@pytest.fixture(scope="session")
def long_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12,000 people: three batches."""
    path = tmp_path_factory.mktemp("ledger") / "long.csv"
    village = Village(VILLAGE, "金沙社区居委会")
    write_csv(path, people(count=12_000, village=village, today=date(2026, 11, 23)))
    return path
