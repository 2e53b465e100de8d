"""What people upload as a ledger: other programs' files, broken files, and no ledgers at all."""

import io
import zipfile
from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api import ledgers
from tests.residents_api.ledgers import all_items, codes, counts, everybody, imported, person
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

ROWS = (
    person("张三", number(), phones="13800000000"),
    person("李四", number(sequence=3), room="102"),
)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _posted(client: httpx.AsyncClient, **form: Any) -> httpx.Response:
    # A value without a file's name is a field; without one there would be no multipart at all.
    fields = {name: value if name == "file" else (None, value) for name, value in form.items()}
    return await client.post("/v1/imports", files=fields)


async def test_every_kind_of_file_says_the_same(worker: httpx.AsyncClient) -> None:
    table = ledgers.table(*ROWS)
    for content in (
        ledgers.text(*ROWS),
        ledgers.text(*ROWS, encoding="utf-8-sig"),
        ledgers.text(*ROWS, encoding="gb18030"),
        ledgers.text(*ROWS, encoding="utf-16"),
        ledgers.text(*ROWS, delimiter="\t"),
        ledgers.text(*ROWS, delimiter=";", encoding="gbk"),
        ledgers.workbook(台账=table),
        ledgers.workbook(说明=[["填表说明"], ["请如实填写"]], 一栋=table),
    ):
        job = await imported(worker, content, name="whatever.bin")
        assert job["state"] == "succeeded"
        assert (job["rows_total"], job["rows_accepted"]) == (2, 2)
        assert sum(counts(job)) == 2
    assert len(await everybody(worker)) == 2
    shown = await revealed(worker, (await found(worker, name="张三"))[0]["id"])
    assert (shown["id_number"], shown["phones"]) == (number(), ["+8613800000000"])


async def test_two_sheets_are_one_ledger(worker: httpx.AsyncClient) -> None:
    one = ledgers.table(*ROWS)
    two = ledgers.table(person("王五", number(sequence=5), room="201"), person("赵六", room="202"))
    again = ledgers.table(*ROWS[:1])
    job = await imported(worker, ledgers.workbook(一=one, 二=two, 三=again))
    assert (job["rows_total"], job["rows_rejected"], job["residents_created"]) == (5, 1, 3)
    rows = [row async for row in all_items(worker, f"/v1/imports/{job['id']}/rows", page_size=2)]
    assert [(row["sheet"], row["row"], row["outcome"], row["codes"]) for row in rows] == [
        ("一", 2, "accepted", []),
        ("一", 3, "accepted", []),
        ("二", 2, "accepted", []),
        ("二", 3, "rejected", ["identity.missing"]),
        ("三", 2, "accepted", ["row.duplicate"]),
    ]


def _zip(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _with_sheet(xml: bytes) -> bytes:
    """A workbook whose first sheet is replaced."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(ledgers.workbook(台账=ledgers.table(*ROWS)))) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.namelist():
            sheet = part == "xl/worksheets/sheet1.xml"
            new.writestr(part, xml if sheet else old.read(part))
    return file.getvalue()


async def test_what_is_no_ledger_fails_with_a_code(worker: httpx.AsyncClient) -> None:
    workbook = ledgers.workbook(台账=ledgers.table(*ROWS))
    corners = b'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="1048576">'
    corners += b'<c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    for content, failure in (
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "ledger.format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "ledger.format"),
        (b"MZ" + bytes(range(256)) * 20, "ledger.format"),
        (bytes(100), "ledger.format"),
        (
            b"<html><table><tr><td>\xe5\xa7\x93\xe5\x90\x8d</td></tr></table></html>",
            "ledger.format",
        ),
        (workbook[: len(workbook) // 2], "ledger.damaged"),
        (_zip(**{"evil/../../x": b"x"}), "ledger.format"),
        (_with_sheet(corners), "ledger.too_large"),
        (_with_sheet(b"<worksheet>" + b" " * 40_000_000), "ledger.damaged"),
        (_with_sheet(b"<worksheet><sheetData><row>"), "ledger.damaged"),
        (b" ", "ledger.empty"),
        (b"\r\n" * 10, "ledger.empty"),
        (ledgers.workbook(台账=[]), "ledger.empty"),
        (ledgers.workbook(统计=[["合计", "3"], ["其中", "2"]]), "ledger.no_header"),
        ("随便写的一段话，没有表头。\n第二行\n".encode(), "ledger.no_header"),
    ):
        job = await imported(worker, content)
        assert (job["state"], job["failure"]) == ("failed", failure), content[:30]
        assert (job["rows_total"], job["rows_accepted"], counts(job)) == (None, 0, (0, 0, 0))
        rows = (await worker.get(f"/v1/imports/{job['id']}/rows")).json()
        assert rows == {"items": [], "next_page_token": None}
    # The service has come through all of it.
    assert (await imported(worker, workbook))["residents_created"] == 2


async def test_a_header_alone_is_a_ledger_of_nobody(worker: httpx.AsyncClient) -> None:
    header = ledgers.table(*ROWS)[:1]
    for content in (ledgers.workbook(台账=header), ledgers.delimited(header)):
        job = await imported(worker, content)
        assert (job["state"], job["rows_total"], counts(job)) == ("succeeded", 0, (0, 0, 0))


async def test_rejected_rows_alone_leave_nothing(worker: httpx.AsyncClient) -> None:
    nowhere = dict.fromkeys(("compound", "building", "unit", "room"), "")
    job = await imported(
        worker,
        ledgers.text(
            person("", number()),
            person("张三"),
            person("张三", number()[:-1]),
            person("张三", "5.199E+17", phones="12345", labels="党员"),
            person("张三", number(), relation_to_head="户主", **nowhere),
            person("张三", birth_date="2027-01-01"),
        ),
    )
    assert (job["state"], job["rows_total"], job["rows_rejected"]) == ("succeeded", 6, 6)
    assert (counts(job), job["dwellings_created"]) == ((0, 0, 0), 0)
    assert await codes(worker, job) == {
        2: ["name.missing"],
        3: ["identity.missing"],
        4: ["id_number.length"],
        5: ["id_number.precision_lost", "phone.invalid"],
        6: ["dwelling.missing"],
        7: ["birth_date.in_future"],
    }
    assert await everybody(worker) == []
    assert (await worker.get("/v1/dwellings")).json()["items"] == []


async def test_good_rows_survive_whatever_stands_beside_them(worker: httpx.AsyncClient) -> None:
    odd = "a\\b\tc\"d'{},\\N|\\.$1%s\u2028\u0085\x0b\x1f\x7f\u200b\ufeff\ufdfa🙂\U0010ffff"
    row = person("张三", number(), phones="外出\n务工，无电话" * 30, note=odd, employer=odd)
    huge = person(
        "李四", number(sequence=3), room="102", note="长" * 30_000, occupation="x" * 30_000
    )
    formula = person("=1+1", number(sequence=5), room="=HYPERLINK(1)")
    labels = person("王五", number(sequence=7), room="103", labels=f"退役军人、{odd}")
    quoted = person("赵六", number(sequence=9), room="104", compound='金"沙小区{}|')
    people = (row, huge, formula, labels, quoted)
    for content in (
        ledgers.text(*people),
        ledgers.workbook(**{"a'b\"{}|,": ledgers.table(*people)}),
    ):
        job = await imported(worker, content)
        assert (job["state"], job["failure"]) == ("succeeded", None)
        assert (job["rows_total"], job["rows_accepted"], sum(counts(job))) == (5, 4, 4)
        rows = [r async for r in all_items(worker, f"/v1/imports/{job['id']}/rows")]
        assert [r["codes"] for r in rows if r["outcome"] == "rejected"] == [["name.missing"]]
        assert "phone.invalid" in rows[0]["codes"]
        assert set(rows[0]["masked"]["phone"]) <= set("*,，\n")
    (who,) = await found(worker, name="张三")
    shown = await revealed(worker, who["id"], "note", "employer")
    assert "a\\b" in shown["note"]
    assert "🙂" in shown["employer"]
    (who,) = await found(worker, name="李四")
    assert (await revealed(worker, who["id"], "note"))["note"] == "长" * 30_000
    compounds = (await worker.get("/v1/compounds")).json()["items"]
    assert {item["name"] for item in compounds} == {ledgers.COMPOUND, '金"沙小区{}|'}


async def test_a_formula_gives_what_it_shows(worker: httpx.AsyncClient) -> None:
    cells = ledgers.table(person("张三", number()))
    cells[1][cells[0].index("姓名")] = '=CONCATENATE("张","三")'
    job = await imported(worker, ledgers.workbook(台账=cells))
    # Written by a program, it shows 0 until somebody opens the file: that is no name.
    assert (job["rows_total"], job["rows_rejected"]) == (1, 1)
    assert await codes(worker, job) == {2: ["name.missing"]}


async def test_what_is_asked_for_must_be_there(worker: httpx.AsyncClient, register: App) -> None:
    file = ("ledger.csv", ledgers.text(*ROWS))
    for form, pointer, code in (
        ({"village_code": VILLAGE}, "/file", "missing"),
        ({"file": file}, "/village_code", "missing"),
        ({"file": ("empty.xlsx", b""), "village_code": VILLAGE}, "/file", "file.empty"),
        ({"file": file, "village_code": "510182104"}, "/village_code", "string_pattern_mismatch"),
        ({"file": file, "village_code": VILLAGE + "\n"}, "/village_code", None),
        ({"file": file, "village_code": "x" * 12}, "/village_code", None),
        ({"file": file, "village_code": VILLAGE, "dry_run": "perhaps"}, "/dry_run", None),
        ({"file": file, "village_code": VILLAGE, "dryrun": "true"}, "/dryrun", "extra_forbidden"),
    ):
        answer = await _posted(worker, **form)
        assert fault(answer)[0] == pointer, form
        assert code is None or fault(answer)[1] == code, form
    text_for_file = await worker.post("/v1/imports", data={"file": "x", "village_code": VILLAGE})
    assert text_for_file.status_code in (400, 422)
    as_json = await worker.post("/v1/imports", json={"file": "x", "village_code": VILLAGE})
    assert refusal(as_json) == (422, "request.invalid")
    broken = await worker.post(
        "/v1/imports",
        content=b"--x\r\nnonsense",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert broken.status_code in (400, 422)
    refused = await _posted(worker, file=file, village_code=NEXT_VILLAGE)
    assert refusal(refused) == (403, "area.forbidden")
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    unknown = await _posted(town, file=file, village_code=f"{TOWN}999")
    assert fault(unknown) == ("/village_code", "division.unknown")
    grid = register.as_role(Role.GRID_WORKER, f"{VILLAGE}001")
    assert refusal(await _posted(grid, file=file, village_code=VILLAGE)) == (403, "role.forbidden")
    of_grid = register.as_role(Role.COMMUNITY_WORKER, f"{VILLAGE}001")
    refused = await _posted(of_grid, file=file, village_code=VILLAGE)
    assert refusal(refused) == (403, "area.forbidden")
    assert (await town.get("/v1/imports")).json()["items"] == []


async def test_a_file_beyond_the_limit_is_not_taken(
    worker: httpx.AsyncClient, register: App
) -> None:
    request = worker.build_request("POST", "/v1/imports", files={"file": b"x"})
    request.headers["Content-Length"] = str(65 * 1024 * 1024)
    assert refusal(await worker.send(request)) == (413, "request.too_large")
    # A larger body than other routes take is fine here, and only here.
    large = await _posted(worker, file=("x.csv", b"\n" * 3_000_000), village_code=VILLAGE)
    assert large.status_code == 202
    elsewhere = await worker.post("/v1/residents/search", content=b" " * 3_000_000)
    assert refusal(elsewhere) == (413, "request.too_large")


async def test_a_row_of_another_village_is_taken_with_a_warning(
    worker: httpx.AsyncClient,
) -> None:
    villages = ["金沙社区", "升平村", "", "天府中路社区"]
    header, *rows = ledgers.table(
        *(person(f"张{n}", number(sequence=n), room=str(n)) for n in range(len(villages)))
    )
    said = [
        ["村（社区）", *header],
        *([name, *row] for name, row in zip(villages, rows, strict=True)),
    ]
    job = await imported(worker, ledgers.delimited(said))
    assert job["rows_accepted"] == len(villages)
    expected = {3: ["village.conflicts_with_import"], 5: ["village.conflicts_with_import"]}
    assert await codes(worker, job) == expected
    assert {item["area_code"] for item in await everybody(worker)} == {VILLAGE}
