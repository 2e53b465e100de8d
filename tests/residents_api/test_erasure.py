"""One person erased: the whole database is searched for what is left of them."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.cli.postgres import binary
from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.residents_api.domain.sealing import NUMBER as NUMBER_COLUMN
from services.residents_api.domain.sealing import PHONE as PHONE_COLUMN
from services.residents_api.models import Base, LedgerImport, Resident
from services.residents_api.repository import erasure
from services.residents_api.service import audit
from services.residents_api.service.audit import Chain, Heads
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import dwelling_of, moved_in
from tests.residents_api.ledgers import all_items, everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

NAME, NEW_NAME = "欧阳明珠", "欧阳翡翠"
NUMBER, OLD_NUMBER = number("1990-05-01", 88), number("1990-05-01", 66)
PHONES = ("13812345678", "13987651234")
REASON = "本人书面申请，编号2026-118"
LATER = 4102444800


@pytest.fixture
async def worker(register: App) -> AsyncGenerator[httpx.AsyncClient]:
    async with register.as_role(
        Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker", exp=LATER
    ) as client:
        yield client


@pytest.fixture
async def officer(register: App) -> AsyncGenerator[httpx.AsyncClient]:
    async with register.as_role(
        Role.TOWN_OFFICER, TOWN, sub="account:officer", exp=LATER
    ) as client:
        yield client


async def erased(client: httpx.AsyncClient, resident_id: str, reason: str = REASON) -> None:
    answer = await client.post(f"/v1/residents/{resident_id}/erase", json={"reason": reason})
    assert answer.status_code == 204, answer.text


async def dump(db: Database) -> str:
    """The whole database as `pg_dump` writes it."""
    process = await asyncio.create_subprocess_exec(
        str(binary("pg_dump")), "--inserts", db.admin_url, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def traces(settings: Settings) -> dict[str, str]:
    """What there is to be found of the person: as text, as bytes, and by which they are found."""
    own = sealer(settings)
    plain = {NAME, NEW_NAME, "欧阳**", "ouyangmingzhu", "oymz", "ouyangfeicui", NUMBER, OLD_NUMBER}
    plain |= {*PHONES, "豆腐坊七号", "某路七号", "退役军人标签"}
    wanted = {text: text for text in plain}
    wanted |= {f"{text} as bytes": text.encode().hex() for text in plain}
    indexes = [(NUMBER_COLUMN, NUMBER), (NUMBER_COLUMN, OLD_NUMBER)]
    indexes += [(PHONE_COLUMN, f"+86{phone}") for phone in PHONES]
    for column, value in indexes:
        wanted[f"index of {value}"] = own.blind_index(column, value).hex()
    return wanted


async def left_of(db: Database, settings: Settings) -> set[str]:
    text = (await dump(db)).lower()
    return {what for what, trace in traces(settings).items() if trace.lower() in text}


async def test_nothing_personal_is_left_anywhere(
    worker: httpx.AsyncClient,
    officer: httpx.AsyncClient,
    register: App,
    db: Database,
    settings: Settings,
    sessions: Sessions,
    clock: FixedClock,
) -> None:
    other = person("李四", number("1991-01-01", 2), room="102", phones="13700001111 12345")
    job = await succeeded(
        worker,
        person(NAME, OLD_NUMBER, phones=PHONES[0], employer="豆腐坊七号", labels="退役军人标签",
               registered_address="某路七号", tenure="自住", relation_to_head="户主"),
        other,
    )  # fmt: skip
    files = list(settings.ledger_directory.glob("*.sealed"))
    (who,) = [one for one in await everybody(worker) if one["name"] == "欧阳**"]
    clock.advance(timedelta(days=1))
    # As many traces as a life in the register leaves: history, answers kept, records of reading.
    tag = {"If-Match": (await worker.get(f"/v1/residents/{who['id']}")).headers["etag"]}
    await worker.patch(
        f"/v1/residents/{who['id']}", json={"note": f"{NAME}，{PHONES[0]}"}, headers=tag
    )
    await changed(worker, who["id"], name=NEW_NAME, id_number=NUMBER, phones=list(PHONES))
    neighbour = await dwelling_of(worker, room="102", area=VILLAGE)
    moved = await worker.post(
        "/v1/occupancies",
        json={"resident_id": who["id"], "dwelling_id": neighbour, "tenure": "tenant",
              "relation_to_head": "non_relative", "start_date": "2026-11-24"},
        headers={"Idempotency-Key": "once"},
    )  # fmt: skip
    assert moved.status_code == 201
    again = await worker.post(
        "/v1/residents",
        json={"name": NAME, "population_type": "floating", "birth_date": "1990-05-01"},
        headers={"Idempotency-Key": "twice"},
    )
    await erased(officer, again.json()["id"])  # a namesake, whose kept answer shows a masked name
    await revealed(worker, who["id"], "id_number")
    named = await worker.post(
        f"/v1/residents/{who['id']}/reveal",
        json={"purpose": f"核实 {NAME} 的电话", "fields": ["phones"]},
    )
    assert named.status_code == 200
    assert {"欧阳明珠", f"index of {NUMBER}", f"index of {OLD_NUMBER}"} <= await left_of(
        db, settings
    )
    since = await position(register)

    await erased(officer, who["id"])

    assert await left_of(db, settings) == set()
    assert len(files) == 1
    assert list(settings.ledger_directory.glob("*")) == []
    # The neighbours are told, and hear nothing else of the person any more.
    (told,) = await states(register, since)
    assert (told["id"], told["state"], told["places"], told["labels"]) == (
        who["id"],
        "erased",
        [],
        [],
    )
    assert {told[name] for name in ("sex", "birth_date", "population_type", "education")} == {None}
    everything = await states(register, since.partition(".")[0] + ".0")
    assert [state["state"] for state in everything if state["id"] == who["id"]] == ["erased"]
    assert {state["id"] for state in everything} > {who["id"]}
    # Nobody finds them, whichever way they look.
    for path in ("", "/history", "/occupancies"):
        answer = await worker.get(f"/v1/residents/{who['id']}{path}")
        assert refusal(answer) == (404, "resident.not_found")
    answer = await worker.get(f"/v1/residents/{who['id']}", params={"as_of": "2026-11-24"})
    assert refusal(answer) == (404, "resident.not_found")
    for terms in ({"name": NAME}, {"name": NEW_NAME}, {"id_number": NUMBER}, {"phone": PHONES[1]}):
        assert await found(worker, **terms) == [], terms
    assert [one["name"] for one in await everybody(worker)] == ["李*"]
    # Who lived where in the past still adds up, without saying who it was.
    path = f"/v1/dwellings/{neighbour}/occupancies"
    lived = (await worker.get(path)).json()["items"]
    gone = [one for one in lived if one["resident_id"] == who["id"]]
    assert [(one["state"], one["relation_to_head"]) for one in gone] == [("ended", None)]
    assert (await worker.get(path, params={"as_of": "2026-11-23"})).status_code == 200
    history = (await worker.get(f"/v1/occupancies/{gone[0]['id']}/history")).json()["items"]
    assert all(item["from"] is None for item in history)
    # The rest of the ledger is as it was, but for masks of phones that were none.
    rows = [row async for row in all_items(worker, f"/v1/imports/{job['id']}/rows")]
    assert len(rows) == 2
    assert {row["masked"] for row in rows} == {None}
    async with sessions.read() as session:
        assert await session.scalar(sa.select(LedgerImport.file_key)) == ""


async def test_the_record_of_who_read_stays_and_is_whole(
    worker: httpx.AsyncClient,
    officer: httpx.AsyncClient,
    register: App,
    sessions: Sessions,
    settings: Settings,
    clock: FixedClock,
) -> None:
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONES[0]])
    for purpose in ("入户走访核实", f"核实{NAME}", f"拨打 {PHONES[0]}"):
        answer = await worker.post(
            f"/v1/residents/{who['id']}/reveal", json={"purpose": purpose, "fields": ["name"]}
        )
        assert answer.status_code == 200
    own = sealer(settings)
    chain = Chain(sessions, own, Heads(settings.audit_directory, own.audit_key), clock)
    await chain.extend()
    await erased(officer, who["id"])
    await chain.extend()
    auditor = register.as_role(Role.AUDITOR, TOWN)
    items = [item async for item in all_items(auditor, f"/v1/residents/{who['id']}/accesses")]
    assert [(i["actor"], i["act"], i["purpose"], i["outcome"]) for i in items] == [
        ("account:worker", "reveal", "入户走访核实", "granted"),
        ("account:worker", "reveal", "", "granted"),
        ("account:worker", "reveal", "", "granted"),
        ("account:officer", "erase", REASON, "granted"),
    ]
    async with sessions.read() as session:
        assert (await audit.verify(session, own, chain.heads)).faults == []
    # An account that was theirs still shows them.
    resident = register.as_role(Role.RESIDENT, VILLAGE, resident_id=UUID(who["id"]))
    assert len((await resident.get("/v1/me/accesses")).json()["items"]) == 4


async def test_whoever_was_merged_into_them_goes_too(
    worker: httpx.AsyncClient, officer: httpx.AsyncClient, sessions: Sessions, db: Database,
    settings: Settings,
) -> None:  # fmt: skip
    one = await registered(worker, NAME, id_number=NUMBER)
    two = await registered(worker, NEW_NAME, phones=[PHONES[0]])
    async with sessions.write() as session:
        await session.execute(
            sa.update(Resident)
            .where(Resident.id == UUID(two["id"]))
            .values(state="merged", merged_into=UUID(one["id"]))
        )
    await erased(officer, one["id"])
    assert await left_of(db, settings) == set()


async def test_who_comes_again_is_registered_anew(
    worker: httpx.AsyncClient, officer: httpx.AsyncClient
) -> None:
    rows = (person(NAME, NUMBER), person("李四", number("1991-01-01", 2), room="102"))
    await succeeded(worker, *rows)
    (who,) = await found(worker, id_number=NUMBER)
    await erased(officer, who["id"])
    job = await succeeded(worker, *rows)
    assert (job["residents_created"], job["residents_unchanged"]) == (1, 1)
    (anew,) = await found(worker, id_number=NUMBER)
    assert anew["id"] != who["id"]
    assert len(await everybody(worker)) == 2


async def test_not_while_a_ledger_is_on_its_way(
    worker: httpx.AsyncClient, officer: httpx.AsyncClient, sessions: Sessions
) -> None:
    await succeeded(worker, person(NAME, NUMBER))
    (who,) = await everybody(worker)
    job = {"id": new_id(), "state": "running", "dry_run": False, "importer": "x", "file_key": ""}
    async with sessions.write() as session:
        session.add(LedgerImport(**job, village_code=NEXT_VILLAGE, importer_areas=[]))
    path = f"/v1/residents/{who['id']}/erase"
    async with sessions.write() as session:
        session.add(
            LedgerImport(**(job | {"id": new_id()}), village_code=VILLAGE, importer_areas=[])
        )
    answer = await officer.post(path, json={"reason": REASON})
    assert refusal(answer) == (409, "import.under_way")
    assert len(await everybody(worker)) == 1
    async with sessions.write() as session:
        await session.execute(
            sa.delete(LedgerImport).where(
                LedgerImport.village_code == VILLAGE, LedgerImport.state == "running"
            )
        )
    await erased(officer, who["id"])


async def test_who_may_erase_whom_and_why(
    worker: httpx.AsyncClient, officer: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, NAME, id_number=NUMBER, phones=[PHONES[0]])
    path = f"/v1/residents/{who['id']}/erase"
    for role in set(Role) - {Role.TOWN_OFFICER, Role.CITY_OFFICER}:
        answer = await register.as_role(role).post(path, json={"reason": REASON})
        assert refusal(answer) == (403, "role.forbidden"), role
    elsewhere = register.as_role(Role.TOWN_OFFICER, "510182001")
    answer = await elsewhere.post(path, json={"reason": REASON})
    assert refusal(answer) == (404, "resident.not_found")
    for named in (f"{NAME}要求删除", f"身份证 {NUMBER} 注销", f"电话{PHONES[0]}", "欧阳 明珠 申请"):
        answer = await officer.post(path, json={"reason": named})
        assert fault(answer) == ("/reason", "reason.personal"), named
    for body in ({}, {"reason": ""}, {"reason": " x "}, {"reason": "x" * 201}, {"reason": None}):
        assert fault(await officer.post(path, json=body))[0] == "/reason"
    await erased(officer, who["id"])
    again = await officer.post(path, json={"reason": REASON})
    assert refusal(again) == (404, "resident.not_found")


def test_no_table_with_a_resident_is_forgotten() -> None:
    """Whoever adds one says what becomes of it when a person is erased."""
    with_residents = {
        table.name for table in Base.metadata.tables.values() if "resident_id" in table.columns
    }
    assert with_residents == {*erasure.DELETED, "occupancy", "access_record"}


async def test_moving_on_is_not_stopped_by_a_namesake(
    worker: httpx.AsyncClient, officer: httpx.AsyncClient
) -> None:
    await succeeded(worker, person("李四", number("1991-01-01", 2), room="102"))
    home = await dwelling_of(worker, room="102", area=VILLAGE)
    one, two = [await registered(worker, NAME, phones=[PHONES[0]]) for _ in range(2)]
    await moved_in(worker, one["id"], home)
    await erased(officer, one["id"])
    assert [row["id"] for row in await found(worker, phone=PHONES[0])] == [two["id"]]
    assert (await moved_in(worker, two["id"], home))["state"] == "approved"
