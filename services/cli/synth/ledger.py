"""The ledger of a village (台账): one row per resident, as community workers keep it."""

import csv
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal

import xlsxwriter  # pyright: ignore[reportMissingTypeStubs] - its types stand in its code

COLUMNS = (
    "序号", "小区", "楼栋", "单元", "房号", "与户主关系", "姓名", "性别", "民族", "身份证号码", "出生日期",
    "联系电话", "文化程度", "婚姻状况", "政治面貌", "职业", "人口类型", "居住类型", "入住时间", "标签", "备注", "网格",
)  # fmt: skip

Row = tuple[str, ...]  # a text for each of COLUMNS, empty where nothing is known


def write_csv(
    path: Path,
    rows: Iterable[Row],
    *,
    encoding: Literal["utf-8-sig", "utf-8", "gb18030"] = "utf-8-sig",
) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def write_xlsx(path: Path, rows: Iterable[Row], *, sheet: str = "台账") -> None:
    """One sheet, every cell a text: identity numbers keep all their digits."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        worksheet = workbook.add_worksheet(sheet)  # pyright: ignore[reportUnknownMemberType] - its optional class has no type
        for number, row in enumerate(chain([COLUMNS], rows)):
            for column, text in enumerate(row):
                if text:
                    worksheet.write_string(number, column, text)
