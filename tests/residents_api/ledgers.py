"""Ledgers that the tests invent, and importing them through the door to their end."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import xlsxwriter

from tests.residents_api.people import VILLAGE

COMPOUND = "金沙小区"
_ENDED = {"succeeded", "failed", "cancelled"}

# What the columns are called, in the order in which they stand.
_WORDS = {
    "compound": "小区",
    "building": "楼栋",
    "unit": "单元",
    "room": "房号",
    "grid": "网格",
    "relation_to_head": "与户主关系",
    "name": "姓名",
    "id_number": "身份证号码",
    "birth_date": "出生日期",
    "sex": "性别",
    "phones": "联系电话",
    "population_type": "人口类型",
    "ethnicity": "民族",
    "education": "文化程度",
    "marital_status": "婚姻状况",
    "political_status": "政治面貌",
    "occupation": "职业",
    "employer": "工作单位",
    "registered_address": "户籍地址",
    "tenure": "居住类型",
    "start_date": "入住时间",
    "labels": "标签",
    "note": "备注",
}

Person = dict[str, str]


def person(name: str, number: str = "", *, room: str = "101", **values: str) -> Person:
    """A row of a ledger; by default in building 1, unit 1 of a compound."""
    home = {"compound": COMPOUND, "building": "1", "unit": "1", "room": room}
    return {**home, "name": name, "id_number": number, **values}


def table(*people: Person) -> list[list[str]]:
    """Header and rows, with the columns that somebody fills in."""
    columns = [name for name in _WORDS if name == "name" or any(row.get(name) for row in people)]
    header = [_WORDS[name] for name in columns]
    return [header, *([row.get(name, "") for name in columns] for row in people)]


def text(*people: Person, encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """The ledger as delimited text."""
    return delimited(table(*people), encoding=encoding, delimiter=delimiter)


def delimited(
    rows: Sequence[Sequence[str]], *, encoding: str = "utf-8", delimiter: str = ","
) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode(encoding)


def workbook(**sheets: Sequence[Sequence[str | float]]) -> bytes:
    """An XLSX with these sheets."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return file.getvalue()


async def uploaded(
    client: httpx.AsyncClient,
    file: Path | bytes,
    *,
    village: str = VILLAGE,
    dry_run: bool = False,
    name: str = "ledger.xlsx",
) -> str:
    """Ask for an import; its address."""
    content = file if isinstance(file, bytes) else await asyncio.to_thread(file.read_bytes)
    answer = await client.post(
        "/v1/imports",
        files={"file": (name, content)},
        data={"village_code": village, "dry_run": str(dry_run).lower()},
    )
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def imported(
    client: httpx.AsyncClient,
    file: Path | bytes,
    *,
    village: str = VILLAGE,
    dry_run: bool = False,
    name: str = "ledger.xlsx",
) -> dict[str, Any]:
    """Import a file; the ended job."""
    location = await uploaded(client, file, village=village, dry_run=dry_run, name=name)
    return await ended(client, location)


async def succeeded(client: httpx.AsyncClient, *people: Person, **how: Any) -> dict[str, Any]:
    """Import people; the job, which must have succeeded."""
    job = await imported(client, text(*people), **how)
    assert (job["state"], job["failure"]) == ("succeeded", None)
    return job


async def ended(client: httpx.AsyncClient, location: str, *, seconds: float = 30) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            job: dict[str, Any] = (await client.get(location)).json()
            if job["state"] in _ENDED:
                return job
            await asyncio.sleep(0.02)


async def all_items(
    client: httpx.AsyncClient, path: str, **params: Any
) -> AsyncIterator[dict[str, Any]]:
    """Every item of a list, page by page."""
    token: str | None = None
    while True:
        page = (
            await client.get(path, params={**params, **({"page_token": token} if token else {})})
        ).json()
        for item in page["items"]:
            yield item
        if (token := page["next_page_token"]) is None:
            return


async def everybody(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    """All residents of a list."""
    return [item async for item in all_items(client, "/v1/residents", **params)]


async def codes(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[int, list[str]]:
    """The codes of the rows that have any."""
    rows = all_items(client, f"/v1/imports/{job['id']}/rows", has_codes=True)
    return {row["row"]: row["codes"] async for row in rows}


def counts(job: dict[str, Any]) -> tuple[int, int, int]:
    """Residents created, updated, unchanged."""
    return job["residents_created"], job["residents_updated"], job["residents_unchanged"]
