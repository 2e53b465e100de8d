"""Workers that die in the middle: whole batches or nothing, and somebody who goes on."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.cli.database import connect
from services.cli.postgres import EmbeddedPostgres
from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.main import create_app
from services.residents_api.service import imports
from services.residents_api.service.imports import work
from services.residents_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity, opened
from tests.residents_api import ledgers
from tests.residents_api.feeds import states
from tests.residents_api.ledgers import ended, person, uploaded
from tests.residents_api.people import VILLAGE, number, refusal
from tests.residents_api.tables import counted

pytestmark = pytest.mark.usefixtures("divisions")

PEOPLE = 12_000  # of the long ledger


async def _nothing(_: Any) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def register(
    settings: Settings,
    identity: Identity,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[App]:
    """The register without a worker of its own."""
    monkeypatch.setattr(imports, "work", _nothing)
    app = create_app(settings, clock=clock, transports={"gateway": identity.transport})
    async with opened(app, identity) as open_app:
        yield open_app


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the process that gets killed puts its temporary files."""
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.fixture
async def doomed(
    db: Database, settings: Settings, temporary: Path
) -> AsyncGenerator[Callable[[], Any]]:
    """Starts worker processes by the system's clock; none outlives the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.residents_api.import_worker",
            env={
                "PATH": os.defpath,
                "TMPDIR": str(temporary),
                "RESIDENTS_DATABASE__URL": db.urls["residents_api"],
                "RESIDENTS_SECURITY__ISSUER": settings.security.issuer,
                "RESIDENTS_SECURITY__JWKS_URL": settings.security.jwks_url,
                "RESIDENTS_ENCRYPTION_KEYS": '{"1": "' + "11" * 32 + '"}',
                "RESIDENTS_INDEX_KEY": "22" * 32,
                "RESIDENTS_LEDGER_DIRECTORY": str(settings.ledger_directory),
                "RESIDENTS_IMPORT_PROCESSES": "1",
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def _working(settings: Settings, *, at: datetime) -> AsyncGenerator[None]:
    """A worker of ours, by a clock that stands still."""
    async with imports.own_engine(settings, clock=FixedClock(at)) as engine:
        task = asyncio.create_task(work(engine))
        yield
        task.cancel()
        await asyncio.wait([task])


async def _reached(sessions: Sessions, condition: str) -> None:
    """Until the import's row meets a condition."""
    statement = sa.text(f"SELECT EXISTS (SELECT FROM ledger_import WHERE {condition})")  # noqa: S608
    async with asyncio.timeout(30):
        while True:
            async with sessions.read() as session:
                if await session.scalar(statement):
                    return
            await asyncio.sleep(0.005)


def _holding(directory: Path, text: str) -> list[Path]:
    """Files that hold a text as it stands."""
    files = [file for file in directory.rglob("*") if file.is_file()]
    return [file for file in files if text.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("when", "condition"),
    [
        ("reading", "applied_to IS NULL AND EXISTS (SELECT FROM ledger_staging)"),
        ("merging", "applied_to BETWEEN 5000 AND 11999"),
    ],
)
async def test_a_killed_worker_leaves_whole_batches_and_another_goes_on(
    register: App,
    worker: httpx.AsyncClient,
    doomed: Callable[[], Any],
    settings: Settings,
    sessions: Sessions,
    long_ledger: Path,
    temporary: Path,
    when: str,
    condition: str,
) -> None:
    location = await uploaded(worker, long_ledger)
    process = await doomed()
    await _reached(sessions, condition)
    process.kill()
    await process.wait()
    job = (await worker.get(location)).json()
    assert job["state"] == "running"
    residents = await counted(sessions, "resident")
    assert residents == job["residents_created"]
    assert (residents == 0) if when == "reading" else (0 < residents < PEOPLE)
    assert await counted(sessions, "occupancy") == job["occupancies_created"]
    assert await counted(sessions, "dwelling") == job["dwellings_created"]
    assert _holding(temporary, "身份证号码") == []
    now = datetime.now(UTC)
    async with _working(settings, at=now):
        # Who holds it may still be alive.
        await asyncio.sleep(0.3)
        assert (await worker.get(location)).json() == job
    async with _working(settings, at=now + timedelta(seconds=90)):
        done = await ended(worker, location)
    assert (done["state"], done["failure"], done["rows_total"]) == ("succeeded", None, PEOPLE)
    assert (done["rows_accepted"], done["residents_created"]) == (PEOPLE, PEOPLE)
    assert (done["residents_updated"], done["residents_unchanged"]) == (0, 0)
    for table, count in (
        ("resident", done["residents_created"]),
        ("occupancy", done["occupancies_created"]),
        ("dwelling", done["dwellings_created"]),
        ("ledger_row", PEOPLE),
        ("ledger_statement", PEOPLE),
        ("ledger_staging", 0),
    ):
        assert await counted(sessions, table) == count, table
    epoch = done["position"].split(".")[1]
    told = Counter(state["id"] for state in await states(register, f"{epoch}.0"))
    assert len(told) == PEOPLE
    assert set(told.values()) == {1}


async def test_a_killed_workers_import_can_be_stopped(
    worker: httpx.AsyncClient,
    doomed: Callable[[], Any],
    settings: Settings,
    sessions: Sessions,
    long_ledger: Path,
) -> None:
    location = await uploaded(worker, long_ledger)
    process = await doomed()
    await _reached(sessions, "applied_to >= 5000")
    process.kill()
    await process.wait()
    assert (await worker.post(f"{location}/cancel")).status_code == 202
    async with _working(settings, at=datetime.now(UTC) + timedelta(seconds=90)):
        done = await ended(worker, location)
    assert done["state"] == "cancelled"
    assert await counted(sessions, "resident") == done["residents_created"] < PEOPLE
    assert refusal(await worker.post(f"{location}/cancel")) == (409, "import.finished")


async def test_rows_lost_in_a_crash_of_the_server_are_read_again(
    worker: httpx.AsyncClient,
    doomed: Callable[[], Any],
    settings: Settings,
    sessions: Sessions,
    long_ledger: Path,
) -> None:
    location = await uploaded(worker, long_ledger)
    process = await doomed()
    await _reached(sessions, "applied_to BETWEEN 5000 AND 11999")
    process.kill()
    await process.wait()
    async with sessions.write() as session:
        # What a crash does to an unlogged table.
        await session.execute(sa.text("TRUNCATE ledger_staging"))
    async with _working(settings, at=datetime.now(UTC) + timedelta(seconds=90)):
        done = await ended(worker, location)
    assert (done["state"], done["residents_created"]) == ("succeeded", PEOPLE)
    assert await counted(sessions, "resident") == PEOPLE


async def test_two_who_both_hold_an_import_count_it_once(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions, long_ledger: Path
) -> None:
    location = await uploaded(worker, long_ledger)
    now = datetime.now(UTC)
    async with _working(settings, at=now):
        await _reached(sessions, "applied_to = 0")
        # The first was stopped for longer than its lease, and wakes up again.
        async with _working(settings, at=now + timedelta(hours=1)):
            done = await ended(worker, location)
            await asyncio.sleep(0.5)
    assert (await worker.get(location)).json() == done
    assert (done["state"], done["residents_created"]) == ("succeeded", PEOPLE)
    assert (done["residents_updated"], done["residents_unchanged"]) == (0, 0)
    assert await counted(sessions, "resident") == PEOPLE


async def test_a_killed_helper_is_replaced(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions, long_ledger: Path
) -> None:
    # Those of earlier tests may not have left yet.
    others = set(multiprocessing.active_children())
    location = await uploaded(worker, long_ledger)
    async with _working(settings, at=datetime.now(UTC)):
        async with asyncio.timeout(30):
            while not (helpers := set(multiprocessing.active_children()) - others):
                await asyncio.sleep(0.005)
        for helper in helpers:
            assert helper.pid is not None
            os.kill(helper.pid, signal.SIGKILL)
        done = await ended(worker, location)
    assert (done["state"], done["failure"]) == ("succeeded", None)
    assert done["residents_created"] == PEOPLE


async def test_a_lost_connection_is_not_the_end(
    worker: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    long_ledger: Path,
    postgres: EmbeddedPostgres,
) -> None:
    location = await uploaded(worker, long_ledger)
    maintenance = await connect(postgres.url(database="postgres"))
    now = datetime.now(UTC)
    async with _working(settings, at=now):
        await _reached(sessions, "applied_to IS NULL AND EXISTS (SELECT FROM ledger_staging)")
        for _ in range(5):
            await maintenance.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'residents_api import'"
            )
            await asyncio.sleep(0.02)
        await maintenance.close()
        async with _working(settings, at=now + timedelta(seconds=90)):
            done = await ended(worker, location)
    assert (done["state"], done["failure"]) == ("succeeded", None)
    assert done["residents_created"] == await counted(sessions, "resident") == PEOPLE


async def test_what_the_database_will_never_take_ends_the_import(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    async with sessions.write() as session:
        await session.execute(
            sa.text("ALTER TABLE resident ADD CONSTRAINT poison CHECK (name <> '张三')")
        )
    location = await uploaded(worker, ledgers.text(person("张三", number())))
    async with _working(settings, at=datetime.now(UTC)):
        done = await ended(worker, location, seconds=5)
    assert done["state"] == "failed"
