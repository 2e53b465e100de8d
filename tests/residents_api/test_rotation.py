"""A new key for everything that is sealed, while others read and write it."""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.residents_api.main import create_app
from services.residents_api.models import LedgerImport, LedgerStaging
from services.residents_api.repository import resealing
from services.residents_api.repository.resealing import SEALED, Sealed
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.rotation import Broken, Interrupted, Rotation
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings
from tests.conftest import FixedClock
from tests.houses import App, Identity, opened
from tests.residents_api.ledgers import all_items, person, succeeded
from tests.residents_api.people import (
    VILLAGE,
    changed,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

OLD, NEW = "11" * 32, "33" * 32
NUMBER = number("1990-05-01", 2)

# Every other column of bytes: none of them can be opened, so none needs a key to be.
HASHES = {
    ("access_record", "purpose_mac"),
    ("access_record", "mac"),
    ("access_record", "hash"),
    ("compound_contact", "phone_index"),
    ("idempotency_key", "fingerprint"),
    ("identity_document", "blind_index"),
    ("ledger_import", "known"),
    ("ledger_source", "entries"),
    ("ledger_staging", "blind_index"),
    ("ledger_staging", "entry"),
    ("ledger_staging", "person_key"),
    ("ledger_staging", "said"),
    ("ledger_staging", "weak_key"),
    ("ledger_statement", "said"),
    ("phone", "blind_index"),
}
# Answers that are stored for a day hold what is masked.
PLAIN = {("idempotency_key", "body")}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"key_file": tmp_path / "keys.json"})


@pytest.fixture
async def worker(register: App) -> AsyncGenerator[httpx.AsyncClient]:
    async with register.as_role(Role.COMMUNITY_WORKER, VILLAGE) as client:
        yield client


def write_keys(settings: Settings, keys: dict[int, str]) -> None:
    assert settings.key_file is not None
    unfinished = settings.key_file.with_suffix(".new")
    unfinished.write_text(json.dumps(keys))
    unfinished.replace(settings.key_file)


def rotation(settings: Settings, sessions: Sessions, **values: Any) -> Rotation:
    own = sealer(settings)
    return Rotation(
        sessions=sessions,
        sealer=own,
        store=LedgerStore(settings.ledger_directory, own),
        since=values.pop("since", datetime.now(UTC)),
        report=values.pop("report", lambda *_: None),
    )


async def keys_used(sessions: Sessions) -> dict[str, set[int]]:
    """The ids of the keys that the values of each column are sealed with."""
    used: dict[str, set[int]] = {}
    async with sessions.read() as session:
        for of in SEALED:
            rows = await session.scalars(
                sa.text(
                    f"SELECT DISTINCT get_byte({of.column}, 0) FROM {of.table}"  # noqa: S608
                    f" WHERE {of.column} IS NOT NULL AND {of.where}"
                )
            )
            used.setdefault(f"{of.table}.{of.column}", set()).update(rows)
    return used


def test_no_column_of_bytes_is_forgotten() -> None:
    sealed = {(of.table, of.column) for of in SEALED}
    assert resealing.bytes_columns() == sealed | HASHES | PLAIN


async def test_everything_gets_the_new_key_and_nothing_is_lost(
    worker: httpx.AsyncClient, register: App, settings: Settings, sessions: Sessions
) -> None:
    job = await succeeded(worker, person("王五", number("1980-01-01", 3), phones="13811112222"))
    who = await registered(worker, "张三", id_number=NUMBER, phones=["13812345678", "13911112222"])
    # What was stands in the history, and is sealed there too.
    before = await changed(worker, who["id"], phones=["13911112222"])
    (compound,) = [item async for item in all_items(worker, "/v1/compounds")]
    tag = (await worker.get(f"/v1/compounds/{compound['id']}")).headers["etag"]
    contact = {"role": "property_manager", "name": "赵六", "phone": "13700001111"}
    answer = await worker.patch(
        f"/v1/compounds/{compound['id']}", json={"contacts": [contact]}, headers={"If-Match": tag}
    )
    assert answer.status_code == 200, answer.text
    history = (await worker.get(f"/v1/residents/{who['id']}/history")).json()
    assert set().union(*(await keys_used(sessions)).values()) == {1}
    write_keys(settings, {1: OLD, 2: NEW})
    # The running service knows it at once.
    other = await registered(worker, "李四", id_number=number("1991-01-01", 2))
    told: list[tuple[str, int, int]] = []
    await rotation(settings, sessions, report=lambda *at: told.append(at)).run()
    assert told[0] == ("sealing anew", 0, told[-1][2])
    assert told[-1][1] == told[-1][2] >= 6
    used = await keys_used(sessions)
    assert used["identity_document.number"] == used["phone.number"] == {2}
    assert used["history.sealed"] == used["compound_contact.phone"] == {2}
    (kept,) = settings.ledger_directory.glob("*.sealed")
    assert kept.read_bytes()[0] == 2
    write_keys(settings, {2: NEW})
    shown = await revealed(worker, who["id"])
    assert (shown["id_number"], shown["phones"]) == (NUMBER, ["+8613911112222"])
    assert (await worker.get(f"/v1/residents/{who['id']}")).json() == before
    assert (await worker.get(f"/v1/residents/{who['id']}/history")).json() == history
    assert [row["id"] for row in await found(worker, id_number=NUMBER)] == [who["id"]]
    assert [row["id"] for row in await found(worker, phone="13911112222")] == [who["id"]]
    assert (await revealed(worker, other["id"]))["id_number"] == number("1991-01-01", 2)
    answer = await worker.post(
        f"/v1/compounds/{compound['id']}/reveal", json={"purpose": "核实电话"}
    )
    assert "13700001111" in answer.text
    # And imports go on: the same file once more changes nothing.
    again = await succeeded(worker, person("王五", number("1980-01-01", 3), phones="13811112222"))
    assert (again["residents_unchanged"], job["residents_created"]) == (1, 1)
    # A second rotation is a rotation like the first.
    write_keys(settings, {2: NEW, 3: OLD})
    await rotation(settings, sessions).run()
    assert (await keys_used(sessions))["phone.number"] == {3}


async def test_who_was_killed_goes_on(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("services.residents_api.service.rotation.BATCH", 2)
    for n in range(7):
        await registered(worker, "张三", id_number=number("1990-05-01", 2 * n))
    write_keys(settings, {1: OLD, 2: NEW})

    class Killed(Exception):
        pass

    def report(_: str, done: int, __: int) -> None:
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        await rotation(settings, sessions, report=report).run()
    assert (await keys_used(sessions))["identity_document.number"] == {1, 2}
    totals: list[int] = []
    await rotation(settings, sessions, report=lambda _, __, total: totals.append(total)).run()
    assert totals[0] == 3
    assert (await keys_used(sessions))["identity_document.number"] == {2}


async def test_an_edit_meanwhile_is_not_lost(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    who = await registered(worker, "张三", id_number=NUMBER, phones=["13812345678"])
    write_keys(settings, {1: OLD, 2: NEW})
    renewed = number("1990-05-01", 44)
    edits: list[str] = []

    class Slow(Rotation):
        def _renewed(self, of: Sealed, values: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
            found = super()._renewed(of, values)
            edits.append(of.table)
            return found

        async def _pass(self, columns: Sequence[Sealed]) -> None:
            if not edits:
                # Between what a batch has read and what it writes, somebody writes the same row.
                of = columns[0]
                async with sessions.read() as session:
                    rows = await resealing.some(session, of, key_id=2, after=None, limit=10)
                sealed = self._renewed(of, [(row.seal_index, row.seal_value) for row in rows])
                await changed(worker, who["id"], id_number=renewed)
                async with sessions.write() as session:
                    assert await resealing.renew(session, of, rows, sealed) == 0
            await super()._pass(columns)

    own = sealer(settings)
    store = LedgerStore(settings.ledger_directory, own)
    await Slow(sessions, own, store, datetime.now(UTC), lambda *_: None).run()
    write_keys(settings, {2: NEW})
    assert (await revealed(worker, who["id"]))["id_number"] == renewed
    history = (await worker.get(f"/v1/residents/{who['id']}/history")).json()["items"]
    masked = [item["from"] for item in history if item["field"] == "id_number" and item["from"]]
    assert masked == [who["id_number"]]


async def test_the_database_takes_no_older_key_any_more(
    worker: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    identity: Identity,
    clock: FixedClock,
) -> None:
    stale = settings.model_copy(update={"key_file": None})
    app = create_app(stale, clock=clock, transports={"gateway": identity.transport})
    async with opened(app, identity) as behind:
        late = behind.as_role(Role.COMMUNITY_WORKER, VILLAGE)
        await registered(late, "张三", id_number=NUMBER)
        write_keys(settings, {1: OLD, 2: NEW})
        await rotation(settings, sessions).run()
        answer = await late.post(
            "/v1/residents",
            json={
                "name": "李四",
                "population_type": "floating",
                "id_number": number("1991-01-01", 2),
            },
        )
        assert refusal(answer) == (503, "service.unavailable")
    assert set().union(*(await keys_used(sessions)).values()) == {2}


async def test_what_does_not_open_keeps_the_old_key(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    who = await registered(worker, "张三", id_number=NUMBER, phones=["13812345678"])
    async with sessions.write() as session:
        await session.execute(sa.text("UPDATE phone SET number = number || '\\x00'::bytea"))
    write_keys(settings, {1: OLD, 2: NEW})
    with pytest.raises(Broken) as raised:
        await rotation(settings, sessions).run()
    assert raised.value.places == ["phone.number: 1"]
    # The rest has the new one.
    assert (await keys_used(sessions))["identity_document.number"] == {2}
    assert (await revealed(worker, who["id"], "id_number"))["id_number"] == NUMBER


async def test_rows_on_their_way_in_are_waited_for(
    worker: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await succeeded(worker, person("王五", number("1980-01-01", 3), phones="13811112222"))
    old = sealer(settings)
    index = old.blind_index("phone.number", "+8613811112222")
    sealed = old.seal("phone.number", "+8613811112222", blind_index=index)
    number_index = old.blind_index("identity_document.number", NUMBER)
    import_id = new_id()
    async with sessions.write() as session:
        session.add(
            LedgerImport(
                id=import_id, state="running", village_code=VILLAGE, dry_run=False, importer="x",
                importer_areas=[VILLAGE], file_key="", rows_total=2, applied_to=5000,
                rows_accepted=1, lease_until=datetime.now(UTC) + timedelta(hours=1),
            )
        )  # fmt: skip
        session.add(
            LedgerStaging(
                import_id=import_id, ordinal=9000, home_ordinal=9000, sheet_number=0, row=1,
                person_key=b"x", weak_key=b"x", dwelling_key="x", name="x", name_pinyin="x",
                name_initials="x", labels=[], said=b"",
                entry=b"", blind_index=number_index,
                number=old.seal("identity_document.number", NUMBER, blind_index=number_index),
                phones=[f"{index.hex()}:{sealed.hex()}"],
            )
        )  # fmt: skip
    write_keys(settings, {1: OLD, 2: NEW})
    phases: list[str] = []

    class Waited(Exception):
        pass

    def report(phase: str, *_: int) -> None:
        phases.append(phase)
        if phases.count("waiting for imports under way") == 2:
            raise Waited

    with pytest.raises(Waited):
        await rotation(settings, sessions, report=report).run()
    async with sessions.read() as session:
        staged = (await session.scalars(sa.select(LedgerStaging))).one()
    assert staged.number is not None
    assert staged.number[0] == 2
    assert [phone.partition(":")[2][:2] for phone in staged.phones] == ["02"]
    own = sealer(settings)
    opened_phone = bytes.fromhex(staged.phones[0].partition(":")[2])
    assert own.open("phone.number", opened_phone, blind_index=index) == "+8613811112222"
    # One that nobody is at work on is said, not waited for.
    async with sessions.write() as session:
        await session.execute(sa.update(LedgerImport).values(lease_until=None))
    with pytest.raises(Interrupted):
        await rotation(settings, sessions).run()
    # And one that was asked for long after the new key was there has it.
    await rotation(settings, sessions, since=datetime.now(UTC) - timedelta(hours=1)).run()
