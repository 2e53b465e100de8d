"""Who reads, and that nobody can make it unread: the chain of records, tampered with in every way."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.residents_api.models import NOBODY
from services.residents_api.service import audit as service
from services.residents_api.service.audit import Chain, Findings, Heads
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App
from tests.residents_api.ledgers import COMPOUND, all_items, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWNS_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

NUMBER = number("1990-05-01", 2)
LATER = 4102444800


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests say when the sealer looks."""
    monkeypatch.setattr(service, "_LOOK_SECONDS", 3600)


@pytest.fixture
async def worker(register: App) -> AsyncGenerator[httpx.AsyncClient]:
    async with register.as_role(
        Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker", exp=LATER
    ) as client:
        yield client


@pytest.fixture
def heads(settings: Settings) -> Heads:
    return Heads(settings.audit_directory, sealer(settings).audit_key)


@pytest.fixture
def chain(sessions: Sessions, settings: Settings, clock: FixedClock, heads: Heads) -> Chain:
    return Chain(sessions, sealer(settings), heads, clock)


@pytest.fixture
async def superuser(db: Database) -> AsyncGenerator[Any]:
    """Whoever has the database, and no key."""
    connection: Any = await asyncpg.connect(db.admin_url)
    await connection.execute("SET search_path = residents_api")
    yield connection
    await connection.close()


@pytest.fixture
async def read_often(worker: httpx.AsyncClient, chain: Chain) -> dict[str, Any]:
    """Somebody who was read nine times, in three links of three."""
    who = await registered(worker, "张三", id_number=NUMBER)
    for _ in range(3):
        for _ in range(3):
            await revealed(worker, who["id"], "name")
        assert await chain.extend() == 3
    return who


async def verified(chain: Chain) -> Findings:
    async with chain.sessions.read() as session:
        return await service.verify(session, chain.sealer, chain.heads)


async def test_what_is_whole_is_said_to_be(
    worker: httpx.AsyncClient, chain: Chain, read_often: dict[str, Any]
) -> None:
    assert await verified(chain) == Findings(chained=9, unchained=0, heads=3)
    # What is not chained yet is no fault.
    await revealed(worker, read_often["id"], "name")
    assert await verified(chain) == Findings(chained=9, unchained=1, heads=3)
    assert await chain.extend() == 1
    assert await chain.extend() == 0
    assert await verified(chain) == Findings(chained=10, unchained=0, heads=4)


async def test_the_request_does_not_wait_for_the_chain(
    worker: httpx.AsyncClient, chain: Chain, superuser: Any
) -> None:
    who = await registered(worker, "张三")
    async with superuser.transaction():
        await superuser.execute("SELECT pg_advisory_xact_lock(hashtextextended('access chain', 0))")
        await asyncio.wait_for(revealed(worker, who["id"], "name"), 5)
        assert await chain.extend() == 0
    assert await chain.extend() == 1


async def test_many_sealers_make_one_chain(
    worker: httpx.AsyncClient,
    chain: Chain,
    settings: Settings,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "_AT_ONCE", 2)
    who = await registered(worker, "张三")
    others = [
        Chain(
            chain.sessions,
            chain.sealer,
            Heads(settings.audit_directory, chain.sealer.audit_key),
            clock,
        )
        for _ in range(3)
    ]
    reading = [revealed(worker, who["id"], "name") for _ in range(12)]
    sealing = [one.extend() for one in (chain, *others) for _ in range(4)]
    await asyncio.gather(*reading, *sealing)
    await chain.extend()
    findings = await verified(chain)
    assert (findings.chained, findings.unchained, findings.faults) == (12, 0, [])


_TAMPERED: dict[str, tuple[str, str]] = {
    "altered": (
        "UPDATE access_record SET actor = 'account:somebody' WHERE sequence = 5",
        "record 5 (",
    ),
    "moved in time": (
        "UPDATE access_record SET at = at - interval '1 day' WHERE sequence = 2",
        "record 2 (",
    ),
    "said of another": (
        "UPDATE access_record SET resident_id = uuidv7() WHERE sequence = 2",
        "record 2 (",
    ),
    "another purpose": (
        "UPDATE access_record SET purpose = '送温暖' WHERE sequence = 4",
        "record 4 (",
    ),
    "no purpose": ("UPDATE access_record SET purpose = '' WHERE sequence = 4", "record 4 ("),
    "signature": ("UPDATE access_record SET mac = '\\x00' WHERE sequence = 4", "record 4 ("),
    "no signature": ("UPDATE access_record SET mac = NULL WHERE sequence = 9", "record 9 ("),
    "hash": ("UPDATE access_record SET hash = '\\x00' WHERE sequence = 6", "record 6 ("),
    "missing": ("DELETE FROM access_record WHERE sequence = 5", "record 5 is missing"),
    "missing first": ("DELETE FROM access_record WHERE sequence < 3", "records 1 to 2 are missing"),
    "missing last": (
        "DELETE FROM access_record WHERE sequence > 7",
        "records 8 to 9 are missing at the end",
    ),
    "all missing": ("DELETE FROM access_record", "records 1 to 9 are missing at the end"),
    "closed up": (
        "DELETE FROM access_record WHERE sequence = 5;"
        "UPDATE access_record SET sequence = -sequence WHERE sequence > 5;"
        "UPDATE access_record SET sequence = -sequence - 1 WHERE sequence < 0",
        "record 5 (",
    ),
    "out of the chain": (
        "UPDATE access_record SET sequence = NULL, hash = NULL WHERE sequence = 5",
        "record 5 is missing",
    ),
    "put in": (
        "INSERT INTO access_record (resident_id, id, at, actor, act, purpose, fields, outcome,"
        " request_id) SELECT resident_id, uuidv7(), at, 'account:scapegoat', act, purpose, fields,"
        " outcome, request_id FROM access_record WHERE sequence = 1",
        "a record not chained yet (",
    ),
    "copied": (
        "INSERT INTO access_record SELECT (jsonb_populate_record(r, jsonb_build_object("
        "'id', uuidv7(), 'sequence', 10))).* FROM access_record r WHERE sequence = 9",
        "record 10 (",
    ),
}


@pytest.mark.parametrize("how", _TAMPERED)
async def test_what_is_tampered_with_is_found(
    chain: Chain, read_often: dict[str, Any], superuser: Any, how: str
) -> None:
    statement, said = _TAMPERED[how]
    await superuser.execute(statement)
    faults = (await verified(chain)).faults
    assert faults
    assert any(text.startswith(said) for text in faults), faults
    # Nor does the sealer make it good when it comes by.
    await chain.extend()
    assert (await verified(chain)).faults


async def test_a_chain_made_anew_is_not_the_one_that_was(
    chain: Chain, read_often: dict[str, Any], superuser: Any
) -> None:
    """With all that the sealer needs, too: what is kept outside tells."""
    await superuser.execute(
        "DELETE FROM access_record WHERE sequence = 2;"
        "UPDATE access_record SET sequence = NULL, hash = NULL"
    )
    await chain.extend()
    faults = (await verified(chain)).faults
    assert any("it was made anew" in text for text in faults), faults


async def test_the_file_of_heads_is_looked_at_too(
    chain: Chain, read_often: dict[str, Any], settings: Settings
) -> None:
    path = chain.heads.path
    assert path.parent == settings.audit_directory
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_text()
    path.write_text(lines.replace('[9, "', '[8, "'))
    assert (await verified(chain)).faults == [f"{path}: line 3 is not ours"]
    path.unlink()
    assert (await verified(chain)).faults == [f"{path} holds no head of the chain"]
    # A line that a crash cut off does not spoil the next one.
    path.write_text(lines[:-5])
    renewed = Chain(
        chain.sessions, chain.sealer, Heads(path.parent, chain.sealer.audit_key), chain.clock
    )
    await renewed.extend()
    findings = await verified(renewed)
    assert (findings.heads, findings.faults) == (3, [f"{path}: line 3 is not ours"])


async def test_a_head_that_a_crash_kept_back_is_told_later(
    chain: Chain, read_often: dict[str, Any]
) -> None:
    path = chain.heads.path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))
    assert (await verified(chain)).faults == []
    renewed = Chain(
        chain.sessions, chain.sealer, Heads(path.parent, chain.sealer.audit_key), chain.clock
    )
    assert await renewed.extend() == 0
    findings = await verified(renewed)
    assert (findings.heads, findings.faults) == (2, [])


async def test_records_from_before_the_chain_are_taken_in_once(
    worker: httpx.AsyncClient, chain: Chain, superuser: Any
) -> None:
    who = await registered(worker, "张三")
    for _ in range(3):
        await revealed(worker, who["id"], "name")
    await superuser.execute("UPDATE access_record SET mac = NULL, purpose_mac = NULL")
    assert await chain.extend() == 3
    assert await verified(chain) == Findings(chained=3, unchained=0, heads=1)
    await revealed(worker, who["id"], "name")
    await superuser.execute("UPDATE access_record SET mac = NULL WHERE sequence IS NULL")
    await chain.extend()
    assert len((await verified(chain)).faults) == 1


async def test_a_resident_sees_who_read_their_data(
    worker: httpx.AsyncClient, register: App
) -> None:
    who = await registered(worker, "张三", id_number=NUMBER)
    other = await registered(worker, "李四")
    await revealed(worker, who["id"], "name")
    await found(worker, id_number=NUMBER)
    await revealed(worker, other["id"], "name")
    resident = register.as_role(Role.RESIDENT, VILLAGE, resident_id=UUID(who["id"]))
    items = [item async for item in all_items(resident, "/v1/me/accesses", page_size=1)]
    assert [(i["act"], i["actor"], i["outcome"]) for i in items] == [
        ("reveal", "account:worker", "granted"),
        ("look_up", "account:worker", "granted"),
    ]
    nobody = register.as_role(Role.RESIDENT, VILLAGE)
    assert (await nobody.get("/v1/me/accesses")).json()["items"] == []
    for role in set(Role) - {Role.RESIDENT}:
        answer = await register.as_role(role, resident_id=UUID(who["id"])).get("/v1/me/accesses")
        assert refusal(answer) == (403, "role.forbidden"), role


async def test_an_auditor_sees_what_was_read_in_the_area_and_by_whom(
    worker: httpx.AsyncClient, register: App, clock: FixedClock
) -> None:
    await succeeded(worker, person("王五", number("1980-01-01", 3)))
    (compound,) = [
        item async for item in all_items(worker, "/v1/compounds") if item["name"] == COMPOUND
    ]
    who = await registered(worker, "张三", id_number=NUMBER)
    await revealed(worker, who["id"], "name")
    clock.advance(timedelta(hours=1))
    assert await found(worker, id_number=number("1970-01-01", 5)) == []
    clock.advance(timedelta(hours=1))
    stranger = register.as_role(
        Role.COMMUNITY_WORKER, OTHER_TOWNS_VILLAGE, sub="account:stranger", exp=LATER
    )
    assert await found(stranger, id_number=NUMBER) == []
    assert await found(stranger, id_number=number("1970-01-01", 5)) == []
    of_compound = register.as_role(
        Role.GRID_WORKER, compound["id"], sub="account:compound", exp=LATER
    )
    assert await found(of_compound, id_number=number("1970-01-01", 5)) == []

    async def seen(area: str, **asked: str) -> list[tuple[str, str, bool]]:
        auditor = register.as_role(Role.AUDITOR, area, exp=LATER)
        items = [i async for i in all_items(auditor, "/v1/accesses", page_size=2, **asked)]
        return [(i["actor"], i["outcome"], i["resident_id"] is not None) for i in items]

    everything = [
        ("account:compound", "not_found", False),
        ("account:stranger", "not_found", False),
        ("account:stranger", "refused", True),
        ("account:worker", "not_found", False),
        ("account:worker", "granted", True),
    ]
    assert await seen("510182") == everything
    # Of the other town's worker, the town learns what concerned its own residents.
    in_town = [entry for entry in everything if entry != ("account:stranger", "not_found", False)]
    assert await seen(TOWN) == in_town
    assert await seen(VILLAGE) == in_town
    assert await seen(NEXT_VILLAGE) == []
    assert await seen(OTHER_TOWNS_VILLAGE) == everything[1:3]
    assert await seen("510182", actor="account:stranger") == everything[1:3]
    assert await seen("510182", **{"from": "2026-11-23T05:00:00Z"}) == everything[:4]
    assert await seen("510182", to="2026-11-23T05:00:00Z") == everything[4:]
    assert await seen("510182", actor="nobody") == []
    auditor = register.as_role(Role.AUDITOR, "510182", exp=LATER)
    answer = await auditor.get("/v1/accesses", params={"from": "2026-11-23T05:00:00"})
    assert fault(answer)[0] == "/query/from"
    answer = await auditor.get("/v1/accesses", params={"actor": "a\x00"})
    assert fault(answer)[0] == "/query/actor"
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = await auditor.get("/v1/accesses", params={"from": at})
        assert answer.status_code in {200, 422}, at
    for role in set(Role) - {Role.AUDITOR}:
        assert refusal(await register.as_role(role, exp=LATER).get("/v1/accesses")) == (
            403,
            "role.forbidden",
        )


async def test_nobody_stands_under_nobodys_id(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await found(worker, id_number=NUMBER)
    async with sessions.read() as session:
        rows = await session.execute(sa.text("SELECT resident_id, actor_areas FROM access_record"))
        assert [tuple(row) for row in rows] == [(NOBODY, [VILLAGE])]
    assert new_id() != NOBODY
