"""Ledgers that the tests invent, and reading them to their end."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
import xlsxwriter

from services.residents_api.domain import identity_numbers
from services.residents_api.domain.cells import Cell
from services.residents_api.domain.ledger import (
    LedgerRow,
    LedgerUnreadable,
    check,
    open_ledger,
    records,
)

TODAY = date(2026, 11, 24)

HEADER = (
    "小区",
    "楼栋",
    "单元",
    "房号",
    "与户主关系",
    "姓名",
    "身份证号码",
    "出生日期",
    "联系电话",
)

Rows = Sequence[Sequence[Cell]]
# First row, first column, last row, last column, from 0.
Range = tuple[int, int, int, int]


def number(birth: str = "1990-05-01", sequence: int = 1, *, area: str = "519900") -> str:
    """An invented identity number."""
    return identity_numbers.make(area, date.fromisoformat(birth), sequence)


def write_xlsx(
    path: Path,
    sheets: dict[str, Rows],
    *,
    merges: Iterable[Range] = (),
    hidden: Iterable[str] = (),
    origin: tuple[int, int] = (0, 0),
) -> Path:
    """The sheets' rows from `origin` on; `merges` go to the first sheet, over written cells."""
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for index, (name, rows) in enumerate(sheets.items()):
            sheet = book.add_worksheet(name)
            if name in hidden:
                sheet.hide()
            for row, values in enumerate(rows, origin[0]):
                for column, value in enumerate(values, origin[1]):
                    if isinstance(value, (date, datetime)):
                        sheet.write_datetime(row, column, value, day)
                    elif isinstance(value, str):
                        sheet.write_string(row, column, value)
                    elif value is not None:
                        sheet.write(row, column, value)
            for first_row, first_column, last_row, last_column in merges if index == 0 else ():
                sheet.merge_range(first_row, first_column, last_row, last_column, None)
                value = rows[first_row][first_column]
                assert isinstance(value, str)
                sheet.write_string(first_row, first_column, value)
    return path


def write_text(path: Path, rows: Rows, *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    """Delimited text without any quotation."""
    lines = [delimiter.join("" if v is None else str(v) for v in values) for values in rows]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))
    return path


def read(path: Path, *, today: date = TODAY) -> list[LedgerRow]:
    """Every counted row of a ledger, checked."""
    return [check(record, today=today) for record in records(open_ledger(path))]


def read_rows(
    tmp_path: Path, *rows: Sequence[Cell], merges: Iterable[Range] = ()
) -> list[LedgerRow]:
    """The checked rows of a workbook with one sheet."""
    return read(write_xlsx(tmp_path / "ledger.xlsx", {"台账": rows}, merges=merges))


def homes(rows: Iterable[LedgerRow]) -> list[tuple[str | None, ...]]:
    """Compound, building, unit and room of each row."""
    return [(row.compound, row.building, row.unit, row.room) for row in rows]


TWO: Rows = [
    ["金沙小区台账"],
    HEADER,
    ["金沙小区", "3栋", "2单元", "201", "户主", "张三", number(), "1990-05-01", "13812345678"],
    ["", "", "", "", "配偶", "李四", number(sequence=2), "1990.5", ""],
    ["合计", "", "", "", "", "2人"],
]


def check_two(path: Path) -> None:
    """The file is a ledger of TWO."""
    rows = read(path)
    assert [(row.row, row.name, row.codes) for row in rows] == [(3, "张三", ()), (4, "李四", ())]
    assert homes(rows) == [("金沙小区", "3", "2", "201")] * 2


def refusal(path: Path) -> str:
    """The code with which a file is refused that is no ledger."""
    with pytest.raises(LedgerUnreadable) as caught:
        list(records(open_ledger(path)))
    assert str(caught.value) == caught.value.code
    return caught.value.code
