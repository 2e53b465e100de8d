"""What is no longer needed goes, and an hour without a database is no reason to stop."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.gateway import main
from services.gateway.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App


@pytest.mark.parametrize(
    "failure",
    [PoolTimeout(), ConnectionRefusedError(), DBAPIError("DELETE", None, Exception())],
    ids=lambda failure: type(failure).__name__,
)
async def test_the_sweep_goes_on_after_a_failure(
    gateway: App,
    settings: Settings,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    swept = asyncio.Event()
    failures = [failure]

    async def sweep(*_: Any, **__: Any) -> None:
        if failures:
            raise failures.pop()
        swept.set()

    monkeypatch.setattr("services.gateway.repository.sign_ins.sweep", sweep)
    monkeypatch.setattr(main, "_SWEEP_SECONDS", 0)
    sessions = gateway.state["sessions"]
    running = asyncio.create_task(main._sweep(sessions, clock, settings))  # noqa: SLF001
    try:
        async with asyncio.timeout(10):
            await swept.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])
