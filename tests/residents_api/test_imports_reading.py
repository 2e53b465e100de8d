"""Workbooks are read elsewhere: what they break is their own import and nothing else."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.access import Role
from services.residents_api.domain.ledger import LedgerUnreadable
from services.residents_api.service import imports
from services.residents_api.service.ledger import reading
from services.residents_api.service.ledger.reading import MEMORY_BYTES, ReaderKilled
from services.residents_api.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App
from tests.residents_api import ledgers
from tests.residents_api.ledgers import ended, imported, person, uploaded
from tests.residents_api.people import VILLAGE, number

pytestmark = pytest.mark.usefixtures("divisions")

PEOPLE = [person(f"张{n}", number(sequence=n), room=f"{n}") for n in range(1, 30)]
WORKBOOK = ledgers.workbook(台账=ledgers.table(*PEOPLE))


def _readers() -> list[Any]:
    return [child for child in multiprocessing.active_children() if child.daemon]


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
async def small(settings: Settings) -> AsyncGenerator[imports.Engine]:
    """An engine whose readers hardly have the memory to begin."""
    async with imports.own_engine(settings, clock=FixedClock(datetime.now(UTC))) as engine:
        yield replace(engine, reader_memory=400 << 20)


async def test_a_workbook_leaves_no_process_behind(worker: httpx.AsyncClient) -> None:
    job = await imported(worker, WORKBOOK)
    assert (job["state"], job["rows_accepted"]) == ("succeeded", len(PEOPLE))
    assert _readers() == []


async def test_what_needs_more_memory_than_there_is_fails_with_a_code(
    small: imports.Engine, tmp_path: Path
) -> None:
    # A short file whose cells span a rectangle that has to be laid out.
    wide = [*ledgers.table(*PEOPLE), *([] for _ in range(90_000)), [*[""] * 250, "x"]]
    path = tmp_path / "wide.xlsx"
    path.write_bytes(ledgers.workbook(台账=wide))
    job = await _run(small, path)
    assert (job.state, job.failure) == ("failed", "ledger.too_large")
    assert _readers() == []
    path.write_bytes(WORKBOOK)
    job = await _run(small, path)
    assert (job.state, job.residents_created) == ("succeeded", len(PEOPLE))


async def _run(engine: imports.Engine, path: Path) -> Any:
    return await imports.run_file(
        engine, path, village_code=VILLAGE, importer="cli", importer_areas=[VILLAGE]
    )


@pytest.mark.parametrize(
    ("death", "code"),
    [(signal.SIGABRT, "ledger.too_large"), (signal.SIGSEGV, "ledger.damaged"), (None, None)],
)
async def test_what_a_reader_dies_of_says_what_is_wrong(
    tmp_path: Path, death: signal.Signals | None, code: str | None
) -> None:
    path = tmp_path / "ledger.xlsx"
    path.write_bytes(WORKBOOK)
    async with reading.reading(path) as read:
        (reader,) = _readers()
        os.kill(reader.pid, death or signal.SIGKILL)
        with pytest.raises(LedgerUnreadable if death else ReaderKilled) as caught:
            await read()
    assert getattr(caught.value, "code", None) == code


async def test_a_killed_reader_is_replaced(worker: httpx.AsyncClient) -> None:
    location = await uploaded(worker, WORKBOOK)
    async with asyncio.timeout(30):
        while not (readers := _readers()):
            await asyncio.sleep(0.001)
    for reader in readers:
        os.kill(reader.pid, signal.SIGKILL)
    done = await ended(worker, location)
    assert (done["state"], done["residents_created"]) == ("succeeded", len(PEOPLE))


async def test_a_ledger_of_text_needs_no_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_bytes(ledgers.text(*PEOPLE))
    async with reading.reading(path, memory=MEMORY_BYTES) as read:
        assert len(await read()) == len(PEOPLE)
        assert await read() == []
        assert _readers() == []
