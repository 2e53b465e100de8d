"""Imports as jobs: asked for, listed, tried out, stopped, and run side by side."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.pagination import token_for
from services.residents_api.service import imports
from services.residents_api.settings import Settings
from tests import scarcity
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api import ledgers
from tests.residents_api.feeds import events, position, snapshot
from tests.residents_api.ledgers import (
    all_items,
    codes,
    counts,
    ended,
    imported,
    person,
    succeeded,
    uploaded,
)
from tests.residents_api.people import NEXT_VILLAGE, TOWN, VILLAGE, number, refusal
from tests.residents_api.tables import counted

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


async def test_an_import_is_asked_for_and_looked_at(worker: httpx.AsyncClient) -> None:
    answer = await worker.post(
        "/v1/imports",
        files={"file": ("金沙.csv", ledgers.text(person("张三", number())))},
        data={"village_code": VILLAGE},
    )
    assert answer.status_code == 202
    asked = answer.json()
    assert answer.headers["location"] == f"/v1/imports/{asked['id']}"
    assert asked["state"] == "queued"
    assert (asked["rows_total"], asked["rows_accepted"], asked["dry_run"]) == (None, 0, False)
    job = await ended(worker, answer.headers["location"])
    assert job == {
        "id": asked["id"],
        "state": "succeeded",
        "village_code": VILLAGE,
        "dry_run": False,
        "rows_total": 1,
        "rows_accepted": 1,
        "rows_rejected": 0,
        "residents_created": 1,
        "residents_updated": 0,
        "residents_unchanged": 0,
        "dwellings_created": 1,
        "occupancies_created": 1,
        "position": job["position"],
        "failure": None,
        "failure_detail": None,
    }


async def test_imports_are_listed_newest_first_and_only_ones_own(
    register: App, worker: httpx.AsyncClient, town: httpx.AsyncClient
) -> None:
    jobs = [
        (await succeeded(town, person("张三", number(sequence=n)), village=village))["id"]
        for n, village in enumerate((VILLAGE, NEXT_VILLAGE, VILLAGE), 1)
    ]
    for client, expected in (
        (town, [jobs[2], jobs[1], jobs[0]]),
        (worker, [jobs[2], jobs[0]]),
        (register.as_role(Role.COMMUNITY_WORKER, f"{VILLAGE}001"), []),
        (register.as_role(Role.CITY_OFFICER, "510105"), []),
    ):
        listed = [job["id"] async for job in all_items(client, "/v1/imports", page_size=1)]
        assert listed == expected
    for path in ("", "/rows"):
        answer = await worker.get(f"/v1/imports/{jobs[1]}{path}")
        assert refusal(answer) == (404, "import.not_found")
    answer = await worker.post(f"/v1/imports/{jobs[1]}/cancel")
    assert refusal(answer) == (404, "import.not_found")
    assert refusal(await worker.get(f"/v1/imports/{uuid4()}")) == (404, "import.not_found")
    with QueryLog() as queries:
        await town.get("/v1/imports")
    assert len(queries) == 1


async def test_rows_are_filtered_and_paged(worker: httpx.AsyncClient) -> None:
    people_said = [
        person(f"张{n}", number(sequence=n) if n % 3 else "", room=str(n), phones="1" * (n % 2))
        for n in range(1, 31)
    ]
    job = await succeeded(worker, *people_said)
    path = f"/v1/imports/{job['id']}/rows"
    for params, expected in (
        ({}, set(range(2, 32))),
        ({"outcome": "rejected"}, {n + 1 for n in range(1, 31) if n % 3 == 0}),
        ({"outcome": "accepted"}, {n + 1 for n in range(1, 31) if n % 3}),
        ({"has_codes": "true"}, {n + 1 for n in range(1, 31) if n % 3 == 0 or n % 2}),
        ({"has_codes": "false"}, {n + 1 for n in range(1, 31) if n % 3 and n % 2 == 0}),
        (
            {"outcome": "accepted", "has_codes": "true"},
            {n + 1 for n in range(1, 31) if n % 3 and n % 2},
        ),
    ):
        for size in (1, 4, 200):
            rows = [row["row"] async for row in all_items(worker, path, **params, page_size=size)]
            assert rows == sorted(expected), params
    first = (await worker.get(path)).json()["items"][0]
    assert first == {
        "sheet": "",
        "row": 2,
        "outcome": "accepted",
        "effect": "created",
        "changes": [],
        "codes": ["phone.invalid"],
        "masked": {"phone": "*"},
    }
    for params in ({"outcome": "lost"}, {"has_codes": "maybe"}, {"page_token": "W251bGxd"}):
        assert (await worker.get(path, params=params)).status_code == 422
    # A token that says more than an integer holds.
    huge = await worker.get(path, params={"page_token": token_for(f"{path}?", 999999999999, 1)})
    assert huge.status_code == 422
    with QueryLog() as queries:
        await worker.get(path)
    assert len(queries) == 2


async def test_a_dry_run_says_what_would_be_and_keeps_nothing(
    register: App, worker: httpx.AsyncClient, town: httpx.AsyncClient, sessions: Sessions
) -> None:
    await succeeded(town, person("李四", number(sequence=3)), village=NEXT_VILLAGE)
    known = person("张三", number(), occupation="农民")
    await succeeded(worker, known)
    file = [
        known | {"occupation": "木匠"},
        known,
        person("王五", number(), room="103"),
        person("李四", number(sequence=3), room="105"),
        person("新来的", number(sequence=5), room="106", phones="110", labels="退役军人"),
        person("坏行", "5199"),
    ]
    before = {table: await counted(sessions, table) for table in _KEPT}
    start, told = await position(register), await snapshot(register)
    dry = await imported(worker, ledgers.text(*file), dry_run=True)
    assert (dry["state"], dry["dry_run"]) == ("succeeded", True)
    assert {table: await counted(sessions, table) for table in _KEPT} == before
    assert await events(register, start) == []
    assert await snapshot(register) == told
    real = await imported(worker, ledgers.text(*file))
    same = {"rows_total", "rows_accepted", "rows_rejected", "dwellings_created"}
    same |= {"residents_created", "residents_updated", "residents_unchanged", "occupancies_created"}
    assert {name: dry[name] for name in same} == {name: real[name] for name in same}
    assert counts(real) == (1, 1, 1)
    assert await codes(worker, dry) == await codes(worker, real)
    assert await codes(worker, real) == {
        3: ["row.duplicate"],
        4: ["name.conflicts_with_register"],
        5: ["resident.elsewhere"],
        6: ["phone.invalid"],
        7: ["id_number.length"],
    }


_KEPT = (
    *("resident", "identity_document", "phone", "dwelling", "dwelling_address", "occupancy"),
    *("compound", "grid", "resident_label", "ledger_statement", "ledger_staging", "outbox"),
)


async def test_whoever_waits_or_runs_can_be_stopped_and_who_has_ended_cannot(
    worker: httpx.AsyncClient, long_ledger: Path, sessions: Sessions
) -> None:
    running = await uploaded(worker, long_ledger)
    waiting = await uploaded(worker, ledgers.text(person("张三", number())))
    stopped = await worker.post(f"{waiting}/cancel")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "cancelled")
    assert refusal(await worker.post(f"{waiting}/cancel")) == (409, "import.finished")
    async with asyncio.timeout(60):
        while (await worker.get(running)).json()["residents_created"] == 0:
            await asyncio.sleep(0.02)
    answer = await worker.post(f"{running}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    again = await worker.post(f"{running}/cancel")
    assert again.status_code in (202, 409)
    job = await ended(worker, running)
    assert (job["state"], job["failure"]) == ("cancelled", None)
    # Whole batches, and what the counters say is what is there.
    assert job["rows_total"] == 12_000
    assert 0 < job["residents_created"] < 12_000
    assert await counted(sessions, "resident") == job["residents_created"]
    assert await counted(sessions, "occupancy") == job["occupancies_created"]
    assert await counted(sessions, "ledger_staging") == 0
    assert refusal(await worker.post(f"{running}/cancel")) == (409, "import.finished")
    assert (await worker.get(waiting)).json()["rows_total"] is None
    # What was stopped can be asked for again, and goes on from what is there.
    rest = await imported(worker, long_ledger)
    assert rest["state"] == "succeeded"
    assert counts(rest) == (12_000 - job["residents_created"], 0, job["residents_created"])


async def test_one_key_is_one_import(worker: httpx.AsyncClient) -> None:
    async def asked() -> httpx.Response:
        return await worker.post(
            "/v1/imports",
            files={"file": ledgers.text(person("张三", number()))},
            data={"village_code": VILLAGE},
            headers={"Idempotency-Key": "one"},
        )

    answers = await asyncio.gather(*(asked() for _ in range(3)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len((await worker.get("/v1/imports")).json()["items"]) == 1


def _kept_files(settings: Settings) -> list[Path]:
    return sorted(settings.ledger_directory.glob("*"))


async def test_a_refused_upload_leaves_no_file(
    town: httpx.AsyncClient, worker: httpx.AsyncClient, settings: Settings
) -> None:
    file = {"file": ledgers.text(person("张三", number()))}
    for client, village in ((town, f"{TOWN}999"), (worker, NEXT_VILLAGE), (worker, "x")):
        answer = await client.post("/v1/imports", files=file, data={"village_code": village})
        assert answer.status_code in (403, 422)
    assert _kept_files(settings) == []
    await succeeded(worker, person("张三", number()))
    (kept,) = _kept_files(settings)
    assert kept.stat().st_mode & 0o077 == 0
    assert settings.ledger_directory.stat().st_mode & 0o077 == 0
    for plain in ("张三".encode(), number().encode()):
        assert plain not in kept.read_bytes()


async def test_a_file_is_deleted_after_its_time(
    worker: httpx.AsyncClient,
    settings: Settings,
    clock: FixedClock,
    register: App,
    deaths: list[int],
) -> None:
    job = await succeeded(worker, person("张三", number()))
    clock.at = clock.at.replace(year=2027)
    try:
        async with asyncio.timeout(5):
            while _kept_files(settings):
                await asyncio.sleep(0.02)
        assert deaths == []
    finally:
        deaths.clear()
    later = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    assert (await later.get(f"/v1/imports/{job['id']}")).json() == job


async def test_a_file_that_no_import_names_is_swept_up(
    worker: httpx.AsyncClient, settings: Settings, clock: FixedClock, deaths: list[int]
) -> None:
    await succeeded(worker, person("张三", number()))
    (kept,) = _kept_files(settings)
    fresh, stray = kept.with_name("fresh.sealed"), kept.with_name("stray.sealed")
    for file, age in ((kept, 30), (fresh, 0), (stray, 2)):
        file.touch()
        written = clock.at.timestamp() - age * 3600
        os.utime(file, (written, written))
    clock.at += timedelta(minutes=20)
    try:
        async with asyncio.timeout(5):
            while stray in _kept_files(settings):
                await asyncio.sleep(0.02)
        assert _kept_files(settings) == sorted([kept, fresh])
        assert deaths == []
    finally:
        deaths.clear()


async def test_a_dry_run_that_is_counted_is_not_run_again(
    worker: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    location = await uploaded(worker, ledgers.text(person("张三", number())), dry_run=True)
    done = await ended(worker, location)
    async with sessions.write() as session:
        # Whoever ran it died before saying that it is over.
        await session.execute(
            sa.text("UPDATE ledger_import SET state = 'running', lease_until = :then"),
            {"then": clock.at - timedelta(seconds=1)},
        )
    again = await ended(worker, location)
    assert {**again, "position": None} == {**done, "position": None}


async def test_many_new_people_renew_the_statistics(
    worker: httpx.AsyncClient, sessions: Sessions, long_ledger: Path
) -> None:
    async def known(table: str) -> float:
        asked = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)")
        async with sessions.read() as session:
            return await session.scalar(asked, {"name": table}) or 0

    tables = ("resident", "occupancy", "identity_document", "dwelling")
    await succeeded(worker, person("张三", number()))
    assert [await known(table) for table in tables] == [-1, -1, -1, -1]
    job = await imported(worker, long_ledger)
    assert [await known(table) for table in tables[:2]] == [job["residents_created"] + 1] * 2
    assert await known("dwelling") == job["dwellings_created"] + 1


async def test_no_connection_to_be_had_is_not_the_end(
    settings: Settings, register: App, worker: httpx.AsyncClient
) -> None:
    async with (
        imports.own_engine(settings) as engine,
        scarcity.one_connection(settings.database) as scarce,
        scarce.read() as taken,
    ):
        await taken.execute(sa.text("SELECT 1"))
        starved = replace(engine, sessions=scarce)
        task = asyncio.create_task(imports.work(starved))
        assert await scarcity.warned(task, "import.interrupted") == "TimeoutError"
        with pytest.raises(PoolTimeout):
            await starved.execute(new_id(), lambda _: None)
        task.cancel()
        await asyncio.wait([task])
