"""Files: formats by content, encodings, row numbers, and what is refused."""

import shutil
import zipfile
from datetime import date
from pathlib import Path

import pytest

from services.residents_api.domain.ledger import open_ledger, records
from tests.residents_api.domain import ledgers, xls_files
from tests.residents_api.domain.ledgers import HEADER, TWO, check_two, number, refusal


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"], ids=["comma", "tab", "semicolon"])
def test_delimited_text(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = ledgers.write_text(tmp_path / "x.csv", TWO, encoding=encoding, delimiter=delimiter)
    check_two(path)


@pytest.mark.parametrize("name", ["台账.xlsx", "台账.xls", "台账.csv", "台账", "台账.pdf"])
def test_the_content_decides_not_the_name(tmp_path: Path, name: str) -> None:
    check_two(ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO}).rename(tmp_path / name))
    xls_files.write_xls(tmp_path / "b", {"台账": TWO})
    check_two((tmp_path / "b").rename(tmp_path / name))
    check_two(ledgers.write_text(tmp_path / name, TWO))


def test_xls_with_merges_dates_and_hidden_sheets(tmp_path: Path) -> None:
    path = tmp_path / "ledger.xls"
    xls_files.write_xls(
        path,
        {
            "旧": [HEADER, ["旧小区", "1", "1", "1", "户主", "旧人", number(), "", ""]],
            "新": [
                [],
                [],
                HEADER,
                ["金沙小区", 3.0, 2.0, 201.0, "户主", "张三", "", date(1990, 5, 1), 13812345678.0],
                ["", "", "", "", "子", "张四", 5.19900200208271e17, "", ""],
                ["", "", "", "", "女", "张五", "", 33000.0, ""],
            ],
        },
        merges=[(3, 0, 5, 0), (3, 3, 5, 3)],
        hidden=["旧"],
    )
    rows = ledgers.read(path)
    assert [(row.sheet, row.row, row.name) for row in rows] == [
        ("新", 4, "张三"),
        ("新", 5, "张四"),
        ("新", 6, "张五"),
    ]
    assert [row.codes for row in rows] == [(), ("id_number.precision_lost",), ()]
    assert [row.birth_date for row in rows] == [date(1990, 5, 1), None, date(1990, 5, 7)]
    assert rows[0].phones == ("+8613812345678",)
    assert ledgers.homes(rows) == [("金沙小区", "3", "2", "201")] * 3


def test_row_numbers_are_those_of_the_spreadsheet(tmp_path: Path) -> None:
    # The sheet's first four rows and two columns have never been used.
    path = ledgers.write_xlsx(tmp_path / "x.xlsx", {"台账": TWO}, origin=(4, 2))
    assert [row.row for row in ledgers.read(path)] == [7, 8]
    merged = ledgers.write_xlsx(
        tmp_path / "y.xlsx", {"台账": [[], [], *TWO]}, merges=[(4, 0, 5, 0), (4, 3, 5, 3)]
    )
    assert [row.row for row in ledgers.read(merged)] == [5, 6]


def test_row_numbers_are_those_that_a_spreadsheet_shows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "\n".join(
            [
                "台账,,",
                "",
                '"姓\n名",身份证号,房号,备注',
                f'张三,{number()},"1-2-3","第一行\n第二行, ""引号"""',
                f'"李四","=""{number(sequence=3)}""",1-2-4,',
                f'王五,="{number(sequence=5)}",1-2-5,',
            ]
        ),
        encoding="utf-8",
    )
    rows = ledgers.read(path)
    assert [(row.row, row.name, row.note) for row in rows] == [
        (4, "张三", '第一行\n第二行, "引号"'),
        (5, "李四", None),
        (6, "王五", None),
    ]
    assert all(row.id_number and not row.codes for row in rows)


def test_an_open_quotation_mark_swallows_nobody(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = ["姓名,身份证号,房号,备注"]
    lines += [f"人{'甲乙丙丁'[n]},{number(sequence=n)},1-2-{n + 1}," for n in range(4)]
    lines[2] += '"电视 55寸'
    lines[3] = lines[3].replace("人丙", '"人丙')
    path.write_text("\r\n".join(lines), encoding="utf-8")
    rows = ledgers.read(path)
    assert [row.name for row in rows] == ["人甲", "人乙", "人丙", "人丁"]
    assert all(row.codes == () for row in rows)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_line_ends_and_short_or_long_rows(tmp_path: Path, end: str) -> None:
    path = tmp_path / "x.csv"
    lines = [
        "姓名,身份证号,房号",
        f"张三,{number()}",
        "",
        f"李四,{number(sequence=3)},1-2-3,,,,,,多",
    ]
    path.write_bytes(end.join(lines).encode())
    rows = ledgers.read(path)
    assert [(row.row, row.codes) for row in rows] == [(2, ("dwelling.missing",)), (4, ())]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_damaged_byte_loses_one_character(tmp_path: Path, encoding: str) -> None:
    lines = ["姓名,身份证号,房号,备注"]
    lines += [f"张三,{number(sequence=n)},1-2-{n + 1},好邻居" for n in range(100)]
    content = "\n".join(lines).encode(encoding)
    where = content.rindex("邻".encode(encoding))
    path = tmp_path / "x.csv"
    path.write_bytes(content[: where + 1] + content[where + 2 :])
    rows = ledgers.read(path)
    assert len(rows) == 100
    assert not any(row.codes for row in rows)


def test_sheets_without_header_and_lists_of_staff_are_left_out(tmp_path: Path) -> None:
    path = ledgers.write_xlsx(
        tmp_path / "x.xlsx",
        {
            "填表说明": [["1. 请如实填写"], ["2. 姓名、身份证号必填"]],
            "一组": TWO,
            "网格员": [["姓名", "联系电话"], ["某网格员", "13800000000"]],
            "二组": [HEADER, ["", "2组", "", "15号", "户主", "王五", number(sequence=5), "", ""]],
            "空表": [],
        },
    )
    assert [(row.sheet, row.row) for row in ledgers.read(path)] == [
        ("一组", 3),
        ("一组", 4),
        ("二组", 2),
    ]


def test_a_text_file_is_read_without_being_held(tmp_path: Path) -> None:
    path = ledgers.write_text(tmp_path / "x.csv", TWO)
    (sheet,) = open_ledger(path)
    found = records([sheet])
    assert next(found).row == 3
    assert [record.row for record in records([sheet])] == [3, 4], "it can be read again"
    assert [record.row for record in found] == [4]


def test_the_separator_line_of_excel_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"sep=;\n姓名;身份证号;房号\n张三;{number()};1-2-3\n", encoding="utf-8-sig")
    assert [(row.row, row.codes) for row in ledgers.read(path)] == [(3, ())]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "ledger.empty"),
        (b"\xef\xbb\xbf", "ledger.empty"),
        (b"\n\n , \n", "ledger.empty"),
        (b"%PDF-1.7\n1 0 obj\n", "ledger.format"),
        (b"<html><table><tr><td>\xe5\xa7\x93</td></tr></table></html>", "ledger.format"),
        (b'<?xml version="1.0"?><Workbook/>', "ledger.format"),
        (b"{\\rtf1 hello}", "ledger.format"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "ledger.format"),
        (b"PK\x03\x04 and nothing", "ledger.damaged"),
        (b"PK\x05\x06" + bytes(18), "ledger.format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and nothing", "ledger.damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "ledger.damaged"),
        ("你好，这不是台账。".encode(), "ledger.no_header"),
        (b"a,b,c\n1,2,3\n", "ledger.no_header"),
        ("姓名,,\n张三,,\n".encode(), "ledger.no_header"),
    ],
    ids=lambda value: repr(value)[:48],
)
def test_what_is_no_ledger(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "台账.xlsx"
    path.write_bytes(content)
    assert refusal(path) == code


def test_workbooks_that_hold_no_ledger(tmp_path: Path) -> None:
    empty = ledgers.write_xlsx(tmp_path / "a.xlsx", {"空": []})
    assert refusal(empty) == "ledger.empty"
    notes = ledgers.write_xlsx(tmp_path / "b.xlsx", {"说明": [["请如实填写"]]})
    assert refusal(notes) == "ledger.no_header"
    hidden = ledgers.write_xlsx(
        tmp_path / "c.xlsx", {"说明": [["请"]], "台账": TWO}, hidden=["台账"]
    )
    assert refusal(hidden) == "ledger.no_header"
    other = tmp_path / "d.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<x/>")
    assert refusal(other) == "ledger.format"


def test_passwords(tmp_path: Path) -> None:
    xls = tmp_path / "a.xls"
    xls_files.write_xls(xls, {"台账": TWO}, filepass=True)
    assert refusal(xls) == "ledger.encrypted"
    # A protected XLSX is a compound file that holds the encrypted package.
    xlsx = tmp_path / "b.xlsx"
    xlsx.write_bytes(xls_files.compound_file("EncryptedPackage", bytes(5000)))
    assert refusal(xlsx) == "ledger.encrypted"
    word = tmp_path / "c.xls"
    word.write_bytes(xls_files.compound_file("WordDocument", bytes(5000)))
    assert refusal(word) == "ledger.format"


def test_the_key_as_text_says_the_same(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "data" / "ledger_jinsha.xlsx"
    copied = tmp_path / "copy.bin"
    shutil.copy(path, copied)
    (sheet,) = open_ledger(copied)
    # As a CSV: merged ranges are blank cells, dates are text, the lost number is 5.10182e+17.
    text = ledgers.write_text(tmp_path / "x.csv", [cells for _, cells in sheet.rows()])
    as_text = ledgers.read(text)
    as_workbook = ledgers.read(path)
    assert [(r.row, r.codes, r.dwelling, r.id_number, r.birth_date) for r in as_text] == [
        (r.row, r.codes, r.dwelling, r.id_number, r.birth_date) for r in as_workbook
    ]
