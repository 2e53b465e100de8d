"""What a newcomer's ledgers had in them that went wrong once."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.repository import imports as repository
from services.residents_api.repository.imports import Reason
from tests.houses import App
from tests.residents_api import ledgers
from tests.residents_api.feeds import position, states
from tests.residents_api.ledgers import (
    all_items,
    codes,
    counts,
    ended,
    everybody,
    imported,
    person,
    succeeded,
    uploaded,
)
from tests.residents_api.people import VILLAGE, found, number, revealed
from tests.residents_api.tables import counted

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def test_an_unknown_dwelling_is_not_the_one_above(worker: httpx.AsyncClient) -> None:
    words = ("不详", "无", "/", "-", "未知", "待核", "空")
    job = await succeeded(
        worker,
        person("张三", number(sequence=1), relation_to_head="户主"),
        *(
            person("李四", number(sequence=n), relation_to_head="配偶", room=word)
            | dict.fromkeys(("compound", "building", "unit"), word)
            for n, word in enumerate(words, 2)
        ),
        person("王五", number(sequence=20), relation_to_head="户主", room="3月2日"),
        person("王六", number(sequence=21), relation_to_head="户主", room="2020-03-02 00:00:00"),
    )
    assert (job["rows_accepted"], job["dwellings_created"]) == (1, 1)
    told = await codes(worker, job)
    assert told == {row: ["dwelling.missing"] for row in range(3, 5 + len(words))}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_two_names_of_one_number_in_one_file(
    worker: httpx.AsyncClient, dry_run: bool
) -> None:
    file = ledgers.text(
        person("张三", number(), occupation="农民"),
        person("李四", number(), room="102", occupation="渔民"),
        person("张三", number(), room="103"),
    )
    expected = {3: ["name.conflicts_with_register"]}
    if dry_run:
        tried = await imported(worker, file, dry_run=True)
        assert await codes(worker, tried) == expected
    first = await imported(worker, file)
    assert (first["rows_accepted"], counts(first)) == (3, (1, 0, 0))
    assert (first["dwellings_created"], first["occupancies_created"]) == (3, 3)
    assert await codes(worker, first) == expected
    again = await imported(worker, file)
    assert (counts(again), await codes(worker, again)) == ((0, 0, 1), expected)
    # The first name counts, and of all else what was said last.
    (who,) = await found(worker, name="张三")
    assert (await revealed(worker, who["id"]))["name"] == "张三"
    assert (who["occupation"], await found(worker, name="李四")) == ("渔民", [])
    assert await found(worker, pinyin="lisi") == []


async def test_side_by_side_persons_fail_with_a_sentence(worker: httpx.AsyncClient) -> None:
    two = [
        ["姓名", "姓名", "身份证号", "身份证号", "房号"],
        ["张三", "李四", number(sequence=1), number(sequence=2), "1-2-3"],
    ]
    job = await imported(worker, ledgers.delimited(two))
    assert (job["state"], job["failure"]) == ("failed", "ledger.duplicate_columns")
    assert "姓名" in job["failure_detail"]
    assert "身份证号码" in job["failure_detail"]
    assert await everybody(worker) == []


async def test_a_failure_is_a_sentence_in_the_callers_language(worker: httpx.AsyncClient) -> None:
    workbook = ledgers.workbook(台账=ledgers.table(person("张三", number())))
    sentences: set[str] = set()
    for content in (workbook[:-200], b"\x89PNG\r\n\x1a\n" + bytes(200), "甲,乙\n1,2\n".encode()):
        location = await uploaded(worker, content)
        shown = await ended(worker, location)
        answer = await worker.get(location, headers={"Accept-Language": "en"})
        english = answer.json()
        assert (english["failure"], english["state"]) == (shown["failure"], "failed")
        assert english["failure_detail"].isascii() or "姓名" in english["failure_detail"]
        assert shown["failure_detail"] != english["failure_detail"]
        sentences |= {shown["failure_detail"], english["failure_detail"]}
        (first, *_) = (await worker.get("/v1/imports")).json()["items"]
        assert first == shown
    assert len(sentences) == 6


@pytest.mark.parametrize("mark", ["\0", "\x01", "\x1f", "\x7f", "\x1a"])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
async def test_one_control_character_costs_no_other_row(
    worker: httpx.AsyncClient, mark: str, encoding: str
) -> None:
    people = [
        person("张三", number(sequence=1)),
        person(f"李{mark}四", number(sequence=3), room=f"1{mark}02"),
        person("王五", number(sequence=5), room="103", note=mark),
    ]
    job = await imported(worker, ledgers.text(*people, encoding=encoding))
    assert (job["state"], job["failure"], job["rows_accepted"]) == ("succeeded", None, 3)
    (who,) = await found(worker, name="李四")
    assert (await revealed(worker, who["id"]))["name"] == "李四"
    dwellings = (await worker.get("/v1/dwellings")).json()["items"]
    assert {item["room"] for item in dwellings} == {"101", "102", "103"}


async def test_a_row_number_is_the_one_that_a_spreadsheet_shows(worker: httpx.AsyncClient) -> None:
    job = await succeeded(
        worker,
        person("张三", number(sequence=1), note="一\n二\n三"),
        person("李四", number(sequence=2)[:-1], room="102"),
    )
    assert await codes(worker, job) == {3: ["id_number.length"]}


async def test_a_move_to_come_is_told_with_its_day(
    register: App, worker: httpx.AsyncClient
) -> None:
    start = await position(register)
    job = await succeeded(worker, person("张三", number(), start_date="2027-06-01"))
    assert await codes(worker, job) == {2: ["start_date.in_future"]}
    # Who counts residents counts from that day on.
    (state,) = await states(register, start)
    assert [place["start_date"] for place in state["places"]] == ["2027-06-01"]


async def test_the_reasons_of_an_import_are_counted(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    job = await succeeded(
        worker,
        *(person("合计", number(sequence=n), room=str(n)) for n in range(1, 8)),
        person("张三", number(sequence=9), room="9", phones="12"),
        person("", room="10", phones="12"),
    )
    async with sessions.read() as session:
        told = await repository.reasons(session, job["id"])
    assert told == [
        Reason("name.missing", 8, tuple(("", row) for row in range(2, 7))),
        Reason("phone.invalid", 2, (("", 9), ("", 10))),
        Reason("identity.missing", 1, (("", 10),)),
    ]


async def _outcomes(client: httpx.AsyncClient, job: dict[str, Any]) -> tuple[int, int]:
    rows = [row async for row in all_items(client, f"/v1/imports/{job['id']}/rows", page_size=200)]
    for outcome in ("accepted", "rejected"):
        path = f"/v1/imports/{job['id']}/rows"
        some = [row async for row in all_items(client, path, page_size=200, outcome=outcome)]
        assert some == [row for row in rows if row["outcome"] == outcome]
    rejected = sum(row["outcome"] == "rejected" for row in rows)
    return len(rows) - rejected, rejected


async def test_what_a_cancelled_import_has_not_merged_is_not_told(
    worker: httpx.AsyncClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batches of 4 rows: the second one meets what stops it.
    monkeypatch.setattr("services.residents_api.service.ledger.merging.BATCH_ROWS", 4)
    people = [
        person("张三", number(sequence=1)),
        person("坏行", "5199", room="102"),
        *(person("李四", number(sequence=n), room=str(100 + n)) for n in range(3, 9)),
        # Merged with the first row, whose person it is.
        person("张三", number(sequence=1), room="301"),
        person("坏行", "5199", room="302"),
    ]
    async with sessions.write() as session:
        await session.execute(
            sa.text(
                "CREATE FUNCTION stop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF new.applied_to = 4 THEN new.cancel_requested := true; END IF;"
                " RETURN new; END $$"
            )
        )
        await session.execute(
            sa.text(
                "CREATE TRIGGER stop_it BEFORE UPDATE ON ledger_import"
                " FOR EACH ROW EXECUTE FUNCTION stop_it()"
            )
        )
    job = await imported(worker, ledgers.text(*people))
    assert job["state"] == "cancelled"
    assert (job["rows_total"], job["rows_accepted"], job["rows_rejected"]) == (10, 4, 2)
    assert await _outcomes(worker, job) == (4, 2)
    rows = [row async for row in all_items(worker, f"/v1/imports/{job['id']}/rows")]
    assert [row["row"] for row in rows] == [2, 3, 4, 5, 10, 11]
    assert counts(job) == (3, 0, 0)
    assert len(await everybody(worker)) == 3
    assert await counted(sessions, "occupancy") == job["occupancies_created"] == 4
    tried = await imported(worker, ledgers.text(*people), dry_run=True)
    assert (tried["state"], tried["rows_accepted"]) == ("succeeded", 8)


async def test_an_import_cancelled_while_it_is_read_tells_of_no_row(
    worker: httpx.AsyncClient, sessions: Sessions, register: App, settings: Any
) -> None:
    del register
    async with sessions.write() as session:
        await session.execute(
            sa.text(
                "CREATE FUNCTION stop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " new.cancel_requested := true; RETURN new; END $$"
            )
        )
        await session.execute(
            sa.text(
                "CREATE TRIGGER stop_it BEFORE UPDATE ON ledger_import"
                " FOR EACH ROW WHEN (new.applied_to IS NULL) EXECUTE FUNCTION stop_it()"
            )
        )
    people = [person("李四", number(sequence=n), room=str(100 + n)) for n in range(1, 5)]
    job = await imported(worker, ledgers.text(*people))
    assert (job["state"], job["rows_total"], job["rows_accepted"]) == ("cancelled", None, 0)
    assert await _outcomes(worker, job) == (0, 0)
    assert (await counted(sessions, "ledger_row"), await counted(sessions, "ledger_staging")) == (
        0,
        0,
    )


async def test_what_a_failed_import_has_not_merged_is_not_told(
    worker: httpx.AsyncClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.residents_api.service.ledger.merging.BATCH_ROWS", 4)
    async with sessions.write() as session:
        await session.execute(
            sa.text("ALTER TABLE resident ADD CONSTRAINT no_bad CHECK (name <> '出错')")
        )
    people = [person("李四", number(sequence=n), room=str(100 + n)) for n in range(1, 10)]
    people[5]["name"] = "出错"
    job = await imported(worker, ledgers.text(*people))
    assert (job["state"], job["failure"]) == ("failed", "internal.error")
    assert job["failure_detail"]
    assert (job["rows_total"], job["rows_accepted"], job["rows_rejected"]) == (9, 4, 0)
    assert await _outcomes(worker, job) == (4, 0)
    assert len(await everybody(worker)) == 4
