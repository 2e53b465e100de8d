"""Ledgers out of the register: what is in them, who may have them, and that they come in again."""

import asyncio
import io
import zipfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from python_calamine import CalamineWorkbook

from services.cli.synth.housing import Village
from services.cli.synth.ledger import write_csv
from services.cli.synth.population import people
from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.models import NOBODY, AccessRecord, LedgerExport
from services.residents_api.service import exports
from services.residents_api.service.exports import Exporter
from services.residents_api.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App
from tests.residents_api.ledgers import counts, everybody, imported, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
)

pytestmark = pytest.mark.usefixtures("divisions")

LATER = 4102444800
REASON = "第四季度入户核对"
FORMULA = "=1+1"
PEOPLE = (
    person(
        "张三", number(sequence=1), room="101", note=FORMULA, education="高中", grid="3",
        phones="13812345678、028-83700001", labels="党员、低保", tenure="自住", start_date="2020-05-01",
        relation_to_head="户主", ethnicity="汉族", marital_status="已婚", occupation="-农民",
        employer="甲厂, \"一\"车间", registered_address="某县某镇", population_type="户籍",
        political_status="中共党员",
    ),
    person("李四", birth_date="1991-02-03", room="-102", sex="女"),
    person("王五", number(sequence=3), room="103"),
    person("王五", number(sequence=3), room="104"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def approval_over() -> int:
    return 1_000


@pytest.fixture
def settings(settings: Settings, approval_over: int) -> Settings:
    return settings.model_copy(update={"export_approval_over": approval_over})


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker", exp=LATER)


async def asked(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    body = {"area": VILLAGE, "format": "csv", "reason": REASON, **wanted}
    answer = await client.post("/v1/exports", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/exports/{answer.json()['id']}"
    return answer.json()


async def made(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    job = await asked(client, **wanted)
    return await ended(client, job["id"])


async def ended(client: httpx.AsyncClient, export: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            job = (await client.get(f"/v1/exports/{export}")).json()
            if job["state"] not in ("queued", "running"):
                return job
            await asyncio.sleep(0.02)


async def file_of(client: httpx.AsyncClient, job: dict[str, Any]) -> bytes:
    assert job["state"] == "succeeded", job
    answer = await client.get(f"/v1/exports/{job['id']}/file")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def lines(content: bytes) -> Sequence[str]:
    return content.decode("utf-8-sig").splitlines()


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
async def test_what_is_exported_imports_again_unchanged(
    worker: httpx.AsyncClient, register: App, tmp_path: Path, format_: str
) -> None:
    await succeeded(worker, *PEOPLE)
    village = Village(VILLAGE, "金沙社区居委会")
    write_csv(tmp_path / "v.csv", people(count=300, village=village, today=date(2026, 11, 23)))
    await imported(worker, tmp_path / "v.csv", name="v.csv")
    (known,) = await found(worker, name="张三", id_number=number(sequence=1))
    await changed(worker, known["id"], education="postgraduate")
    before = await everybody(worker)
    job = await made(worker, format=format_)
    assert job["residents"] == len(before)
    again = await imported(worker, await file_of(worker, job))
    assert (again["state"], again["rows_rejected"]) == ("succeeded", 0)
    assert counts(again) == (0, 0, len(before))
    assert (again["dwellings_created"], again["occupancies_created"]) == (0, 0)
    assert await everybody(worker) == before
    # Nor does it for somebody who never said it before.
    officer = register.as_role(Role.TOWN_OFFICER, TOWN, sub="account:officer", exp=LATER)
    by_another = await imported(officer, await file_of(worker, job), dry_run=True)
    assert counts(by_another) == (0, 0, len(before))


async def test_a_file_says_who_has_it_and_runs_nothing(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker)
    text = lines(await file_of(worker, job))
    assert len(text) == 1 + 1 + 4 + 1
    for line in (text[0], text[-1]):
        assert job["id"] in line
        assert "account:worker" in line
        assert "2026-11-23 12:00" in line
    assert f"'{FORMULA}" in "".join(text)
    assert "'-农民" in "".join(text)
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for line in text for cell in line.split(",")
    )
    book = await file_of(worker, await made(worker, format="xlsx"))
    (sheet,) = CalamineWorkbook.from_filelike(io.BytesIO(book)).sheet_names
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_name(sheet).to_python()
    assert FORMULA in [cell for row in rows for cell in row]
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        assert "<f>" not in parts.read("xl/worksheets/sheet1.xml").decode()
        assert "account:worker" in parts.read("docProps/core.xml").decode()


async def test_only_the_wanted_columns_are_in_it(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker, columns=["room", "name"])
    assert job["columns"] == ["room", "name"]
    text = lines(await file_of(worker, job))
    assert text[1:-1] == ["房号,姓名", "101,张三", "103,王五", "104,王五", "'-102,李四"] or sorted(
        text[2:-1]
    ) == sorted(["101,张三", "103,王五", "104,王五", "'-102,李四"])
    assert number(sequence=1) not in "".join(text)
    answer = await worker.post(
        "/v1/exports",
        json={"area": VILLAGE, "format": "csv", "reason": REASON, "columns": ["name", "name"]},
    )
    assert fault(answer) == ("/columns", "columns.repeated")


async def test_each_person_finds_the_export_among_their_accesses(
    worker: httpx.AsyncClient, register: App, sessions: Sessions
) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker, columns=["name", "id_number"])
    await file_of(worker, job)
    async with sessions.read() as session:
        records = (await session.scalars(sa.select(AccessRecord))).all()
    told = {(r.resident_id, r.actor, r.act, r.purpose, *r.fields) for r in records}
    ids = [one["id"] for one in await everybody(worker)]
    mark = ("account:worker", "export", f"export:{job['id']}", "name", "id_number")
    assert {(str(one[0]), *one[1:]) for one in told} == {(i, *mark) for i in [*ids, str(NOBODY)]}
    assert len(records) == 4
    assert all(record.mac for record in records)


@pytest.mark.parametrize("approval_over", [2])
async def test_many_residents_need_a_second_person(
    register: App, worker: httpx.AsyncClient
) -> None:
    await succeeded(worker, *PEOPLE)
    job = await asked(worker)
    assert (job["state"], job["residents"]) == ("waiting_approval", 3)
    path = f"/v1/exports/{job['id']}"
    refused = await worker.post(f"{path}/approve")
    assert refusal(refused) == (403, "export.approver_is_requester")
    assert refusal(await worker.get(f"{path}/file")) == (409, "export.unavailable")
    next_door = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, sub="account:next", exp=LATER)
    assert refusal(await next_door.post(f"{path}/approve")) == (404, "export.not_found")
    assert (await next_door.get("/v1/exports")).json()["items"] == []
    officer = register.as_role(Role.TOWN_OFFICER, TOWN, sub="account:officer", exp=LATER)
    (waiting,) = (await officer.get("/v1/exports")).json()["items"]
    assert waiting == job
    approved = await officer.post(f"{path}/approve")
    assert (approved.status_code, approved.json()["approver"]) == (200, "account:officer")
    done = await ended(worker, job["id"])
    assert await file_of(worker, done)
    assert refusal(await officer.post(f"{path}/approve")) == (409, "export.not_waiting")
    # Whoever approves does not have it.
    assert refusal(await officer.get(f"{path}/file")) == (403, "export.not_yours")
    small = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, sub="account:next", exp=LATER)
    assert (await made(small, area=NEXT_VILLAGE))["state"] == "succeeded"


async def test_nobody_exports_what_is_not_theirs(worker: httpx.AsyncClient, register: App) -> None:
    body = {"area": TOWN, "format": "csv", "reason": REASON}
    assert refusal(await worker.post("/v1/exports", json=body)) == (403, "area.forbidden")
    grid_worker = register.as_role(Role.GRID_WORKER, VILLAGE)
    refused = await grid_worker.post("/v1/exports", json={**body, "area": VILLAGE})
    assert refusal(refused) == (403, "role.forbidden")
    await succeeded(worker, *PEOPLE)
    (compound,) = (await worker.get("/v1/compounds")).json()["items"]
    keeper = register.as_role(Role.COMMUNITY_WORKER, compound["id"], sub="account:c", exp=LATER)
    job = await made(keeper, area=compound["id"])
    assert job["residents"] == 3
    assert [one["id"] for one in (await keeper.get("/v1/exports")).json()["items"]] == [job["id"]]
    grid = await made(worker, area=f"{VILLAGE}003")
    assert grid["residents"] == 1


async def test_a_file_is_kept_sealed_and_for_a_day(
    worker: httpx.AsyncClient, register: App, settings: Settings, clock: FixedClock
) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker)
    (kept,) = (settings.ledger_directory / "exports").glob("*")
    assert "张三".encode() not in await asyncio.to_thread(kept.read_bytes)
    exporter: Exporter = register.state["exporter"]
    await exporter.sweep()
    assert await file_of(worker, job)
    clock.advance(timedelta(hours=25))
    await exporter.sweep()
    assert list((settings.ledger_directory / "exports").glob("*")) == []
    path = f"/v1/exports/{job['id']}"
    assert (await worker.get(path)).json()["state"] == "expired"
    assert refusal(await worker.get(f"{path}/file")) == (409, "export.unavailable")


async def test_an_export_that_a_killed_worker_left_is_begun_again(
    worker: httpx.AsyncClient, register: App, sessions: Sessions, settings: Settings
) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker)
    async with sessions.write() as session:
        await session.execute(
            sa.update(LedgerExport).values(
                state="running", file_key="", lease_until=sa.text("'-infinity'")
            )
        )
    again = await ended(worker, job["id"])
    assert await file_of(worker, again)


async def test_erasing_a_person_deletes_the_files_they_are_in(
    worker: httpx.AsyncClient, register: App, settings: Settings, sessions: Sessions
) -> None:
    await succeeded(worker, *PEOPLE)
    job = await made(worker, reason="为欧阳张三办理")
    officer = register.as_role(Role.TOWN_OFFICER, TOWN, sub="account:officer", exp=LATER)
    (who,) = await found(worker, name="张三")
    path = f"/v1/residents/{who['id']}/erase"
    async with sessions.write() as session:
        await session.execute(
            sa.update(LedgerExport).values(state="running", lease_until=sa.text("'infinity'"))
        )
    refused = await officer.post(path, json={"reason": "本人申请"})
    assert refusal(refused) == (409, "export.under_way")
    async with sessions.write() as session:
        await session.execute(sa.update(LedgerExport).values(state="succeeded"))
    assert (await officer.post(path, json={"reason": "本人申请"})).status_code == 204
    assert list((settings.ledger_directory / "exports").glob("*")) == []
    now = (await worker.get(f"/v1/exports/{job['id']}")).json()
    assert (now["state"], now["reason"]) == ("expired", "")


def test_every_name_of_a_code_is_read_as_that_code() -> None:
    for column in exports.HEADINGS:
        if column in CODE_LISTS:
            for entry in CODE_LISTS[column].entries:
                assert CODE_LISTS[column].find(entry.name_zh) == entry.code, entry
