"""The outcome of an import as a workbook in which the faulty cells are marked."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from python_calamine import CalamineWorkbook

from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.models import NOBODY, AccessRecord, LedgerImport
from services.residents_api.settings import Settings
from tests.houses import App
from tests.residents_api.ledgers import imported, person, succeeded, table, text, workbook
from tests.residents_api.people import NEXT_VILLAGE, VILLAGE, number, refusal

pytestmark = pytest.mark.usefixtures("divisions")

FORMULA = '=HYPERLINK("http://example.test","x")'
PEOPLE = (
    person("张三", number(sequence=1), room="101", note=FORMULA, education="高中"),
    person("李四", "519900199001011230", room="102", education="火星大学"),
    person("王五", number(sequence=3), room="103", phones="12345"),
)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def outcome(client: httpx.AsyncClient, job: str, language: str = "zh") -> bytes:
    answer = await client.get(f"/v1/imports/{job}/outcome", headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment")
    return answer.content


def cells(content: bytes) -> list[list[list[Any]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return [list(book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]


async def test_the_file_comes_back_with_what_became_of_it(
    worker: httpx.AsyncClient, sessions: Sessions, settings: Settings
) -> None:
    job = await imported(worker, text(*PEOPLE))
    content = await outcome(worker, job["id"])
    (sheet,) = cells(content)
    width = len(table(*PEOPLE)[0])
    assert [row[:width] for row in sheet] == table(*PEOPLE)
    assert [row[width:] for row in sheet] == [
        ["导入结果", "导入提示"],
        ["新增", ""],
        ["未导入", "id_number.check_digit、value.unknown_code"],
        ["新增", "phone.invalid"],
    ]
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        page = parts.read("xl/worksheets/sheet1.xml").decode()
        comments = parts.read("xl/comments1.xml").decode()
    assert "<f>" not in page
    header = table(*PEOPLE)[0]
    marked = [(2, "身份证号码"), (2, "文化程度"), (3, "联系电话")]
    for row, heading in marked:
        place = f"{chr(ord('A') + header.index(heading))}{row + 1}"
        assert f'<c r="{place}" s=' in page
        assert f'ref="{place}"' in comments
    assert comments.count("<comment ") == len(marked)
    assert "校验不通过" in comments
    # It says so in English as well, and is on record.
    (english,) = cells(await outcome(worker, job["id"], "en"))
    assert english[2][width] == "rejected"
    async with sessions.read() as session:
        records = (await session.scalars(sa.select(AccessRecord))).all()
    assert [(r.act, r.purpose, r.resident_id) for r in records] == [
        ("export", f"import:{job['id']}", NOBODY)
    ] * 2
    assert list(settings.ledger_directory.glob("work-*")) == []


async def test_what_comes_back_can_be_imported(worker: httpx.AsyncClient) -> None:
    first = await imported(worker, text(*PEOPLE))
    again = await imported(worker, await outcome(worker, first["id"]))
    assert (again["state"], again["rows_total"], again["rows_rejected"]) == ("succeeded", 3, 1)
    assert again["residents_unchanged"] == 2


async def test_sheets_numbers_and_the_sample_ledger(worker: httpx.AsyncClient, data: Path) -> None:
    rows = table(*PEOPLE)
    book = workbook(甲=[["某某小区台账"], *rows], 乙=[*rows, ["合计", 3.5]])
    job = await imported(worker, book)
    first, second = cells(await outcome(worker, job["id"]))
    assert first[0][0] == "某某小区台账"
    assert [row[-2] for row in first] == ["", "导入结果", "新增", "未导入", "新增"]
    assert [row[-2] for row in second] == ["导入结果", "新增", "未导入", "新增", ""]
    assert second[-1][:2] == ["合计", 3.5]
    sample = await imported(worker, data / "ledger_jinsha.xlsx")
    sheets = cells(await outcome(worker, sample["id"]))
    told = [cell for sheet in sheets for row in sheet for cell in row if cell == "未导入"]
    assert len(told) == sample["rows_rejected"]


async def test_no_outcome_of_what_is_not_there(
    worker: httpx.AsyncClient, register: App, sessions: Sessions
) -> None:
    job = await succeeded(worker, person("张三", number()))
    path = f"/v1/imports/{job['id']}/outcome"
    other = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    assert refusal(await other.get(path)) == (404, "import.not_found")
    grid_worker = register.as_role(Role.GRID_WORKER, VILLAGE)
    assert refusal(await grid_worker.get(path)) == (403, "role.forbidden")
    broken = await imported(worker, b"nothing")
    gone = await worker.get(f"/v1/imports/{broken['id']}/outcome")
    assert refusal(gone) == (409, "import.outcome_unavailable")
    async with sessions.write() as session:
        await session.execute(sa.update(LedgerImport).values(file_key=""))
    assert refusal(await worker.get(path)) == (409, "import.outcome_unavailable")
    async with sessions.write() as session:
        await session.execute(sa.update(LedgerImport).values(finished_at=None))
    assert refusal(await worker.get(path)) == (409, "import.unfinished")
