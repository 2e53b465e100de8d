"""Imports beside each other, and beside people who work."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.main import create_app
from services.residents_api.repository import ledger_merge as sql
from services.residents_api.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App, Identity, opened
from tests.residents_api import ledgers
from tests.residents_api.ledgers import (
    ended,
    everybody,
    imported,
    person,
    uploaded,
)
from tests.residents_api.people import NEXT_VILLAGE, TOWN, VILLAGE, number, registered
from tests.residents_api.tables import counted

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


@pytest.fixture
async def beside(
    settings: Settings, identity: Identity, clock: FixedClock, register: App
) -> AsyncGenerator[App]:
    """A second process of the register, with a worker of its own."""
    app = create_app(settings, clock=clock, transports={"gateway": identity.transport})
    async with opened(app, identity) as open_app:
        yield open_app


async def _both(
    one: tuple[App, str, bytes], two: tuple[App, str, bytes]
) -> tuple[dict[str, Any], dict[str, Any]]:
    async def run(app: App, village: str, file: bytes) -> dict[str, Any]:
        return await imported(app.as_role(Role.TOWN_OFFICER, TOWN), file, village=village)

    first, second = await asyncio.gather(run(*one), run(*two))
    assert (first["state"], second["state"]) == ("succeeded", "succeeded")
    return first, second


async def test_the_same_file_twice_at_once_is_as_if_once(
    register: App, beside: App, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    for round_ in range(3):
        rows = [
            person(
                f"张{round_}号{n}",
                number(sequence=n + 300 * round_) if n % 4 else "",
                birth_date="1990-05-01",
                room=f"{round_}{n:03}",
            )
            for n in range(1, 200)
        ]
        file = ledgers.text(*rows)
        one, two = await _both((register, VILLAGE, file), (beside, VILLAGE, file))
        assert one["residents_created"] + two["residents_created"] == 199
        assert one["residents_unchanged"] + two["residents_unchanged"] == 199
        assert one["dwellings_created"] + two["dwellings_created"] == 199
        assert await counted(sessions, "resident") == 199 * (round_ + 1)
        assert await counted(sessions, "occupancy") == 199 * (round_ + 1)
        assert await counted(sessions, "dwelling") == 199 * (round_ + 1)
    assert len(await everybody(town, page_size=200)) == 3 * 199


@pytest.mark.parametrize("numbered", [True, False])
async def test_two_that_both_have_looked_before_either_has_written(
    register: App, beside: App, sessions: Sessions, numbered: bool
) -> None:
    rows = [
        person(
            f"张{n}", number(sequence=n) if numbered else "", birth_date="1990-05-01", room=f"{n}"
        )
        for n in range(1, 20)
    ]
    file = ledgers.text(*rows)
    async with sessions.write() as session:
        # Both get as far as writing their dwellings, and wait.
        await session.execute(sa.text("LOCK TABLE dwelling_address IN SHARE MODE"))
        both = asyncio.create_task(_both((register, VILLAGE, file), (beside, VILLAGE, file)))
        await _waiting(sessions, 2)
    one, two = await both
    assert one["residents_created"] + two["residents_created"] == 19
    assert one["residents_unchanged"] + two["residents_unchanged"] == 19
    for table in ("resident", "occupancy", "dwelling", "ledger_statement"):
        assert await counted(sessions, table) == 19, table


async def _waiting(sessions: Sessions, number_of: int) -> None:
    """Until so many wait for a lock."""
    waiting = sa.text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(10):
        while True:
            async with sessions.read() as session:
                if await session.scalar(waiting) == number_of:
                    return
            await asyncio.sleep(0.02)


async def test_two_villages_that_share_people_at_once(
    register: App, beside: App, sessions: Sessions
) -> None:
    for round_ in range(3):
        shared = [
            person(f"张{n}", number(sequence=n + 300 * round_), room=f"{n:03}") for n in range(200)
        ]
        one, two = await _both(
            (register, VILLAGE, ledgers.text(*shared)),
            (beside, NEXT_VILLAGE, ledgers.text(*reversed(shared))),
        )
        assert one["residents_created"] + two["residents_created"] == 200
        assert one["occupancies_created"] + two["occupancies_created"] == 400
        assert await counted(sessions, "resident") == 200 * (round_ + 1)
        assert await counted(sessions, "identity_document") == 200 * (round_ + 1)


async def test_people_can_be_worked_on_while_a_ledger_comes_in(
    worker: httpx.AsyncClient, long_ledger: Path
) -> None:
    location = await uploaded(worker, long_ledger)
    who = await registered(worker, "张三", id_number=number(area="519902"))
    for version in range(1, 20):
        answer = await worker.patch(
            f"/v1/residents/{who['id']}",
            json={"occupation": f"第{version}"},
            headers={"If-Match": f'"{version}"'},
        )
        assert answer.status_code == 200
        await asyncio.sleep(0)
    assert (await worker.post(f"{location}/cancel")).status_code == 202
    await ended(worker, location)


async def test_who_waits_for_a_dry_run_of_the_village_waits_until_it_is_over(
    register: App, beside: App, sessions: Sessions
) -> None:
    file = ledgers.text(person("张三", number()))
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    other = beside.as_role(Role.TOWN_OFFICER, TOWN)
    async with sessions.write() as session:
        # As a long dry run does.
        await session.execute(sa.text(sql.ONE_AT_A_TIME), {"village_code": VILLAGE})
        waits = await uploaded(town, file)
        stops = await uploaded(other, file, dry_run=True)
        await _waiting(sessions, 2)
        assert (await other.post(f"{stops}/cancel")).status_code == 202
        assert (await ended(other, stops))["state"] == "cancelled"
        assert (await town.get(waits)).json()["state"] == "running"
    done = await ended(town, waits)
    assert (done["state"], done["residents_created"]) == ("succeeded", 1)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_who_has_lost_a_race_tries_again(
    register: App, sessions: Sessions, dry_run: bool
) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    async with sessions.write() as session:
        # Somebody is being registered with the number that the ledger brings.
        await session.execute(sa.text("LOCK TABLE dwelling_address IN SHARE MODE"))
        location = await uploaded(town, ledgers.text(person("张三", number())), dry_run=dry_run)
        await _waiting(sessions, 1)
        await registered(town, "张三", id_number=number(), area_code=VILLAGE)
    done = await ended(town, location)
    assert (done["state"], done["failure"]) == ("succeeded", None)
    assert (done["residents_created"], done["residents_unchanged"]) in {(0, 1), (0, 0)}
    assert await counted(sessions, "resident") == 1
