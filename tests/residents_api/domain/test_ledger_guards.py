"""Files made to break the reader: refused before it reads them."""

import random
import zipfile
from pathlib import Path
from struct import pack

import pytest

from services.residents_api.domain.ledger import LedgerUnreadable, limits, open_ledger
from tests.residents_api.domain import ledgers, xls_files
from tests.residents_api.domain.ledgers import TWO, check_two, refusal


def rezip(source: Path, target: Path, **replaced: bytes) -> Path:
    """The workbook with some of its parts (sheet1, workbook…) replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, replaced.get(Path(part.filename).stem, old.read(part)))
    return target


@pytest.mark.parametrize(
    "cells",
    [
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="ZZ2"><v>1</v></c></row>',
        '<row r="1"><c r="A1"/></row><row r="4000000000"><c r="A4000000000"><v>1</v></c></row>',
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="CV1048576"><v>1</v></c></row>',
        "<row r='1'><c r='A1'><v>1</v></c></row><x:row r='2'><x:c  r = 'xfd9'><x:v>1</x:v></x:c></x:row>",
        "<row>" + "<c><v>1</v></c>" * 300 + "</row>",
        '<row r="1"><c r="A1" r="ZZ1"><v>1</v></c></row>',
        '<row r="1" r="99999999"><c><v>1</v></c></row>',
        '<row r="99999999"/><row><c><v>1</v></c></row>',
        "<row>"
        + "<c><v>1</v></c>" * 200
        + "</row>"
        + "<row/>" * 200_000
        + "<row><c><v>1</v></c></row>",
    ],
    ids=[
        "corner",
        "wide",
        "deep",
        "diagonal",
        "quotes",
        "bare wide",
        "twice",
        "twice deep",
        "after",
        "bare deep",
    ],
)
def test_a_small_file_cannot_ask_for_all_memory(tmp_path: Path, cells: str) -> None:
    plain = ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO})
    sheet = (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/'
        f'spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    )
    assert refusal(rezip(plain, tmp_path / "b.xlsx", sheet1=sheet.encode())) == "ledger.too_large"


def test_formats_to_the_end_of_the_sheet_are_no_cells(tmp_path: Path) -> None:
    plain = ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO})
    with zipfile.ZipFile(plain) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    formats = (
        b'<row r="9" ht="20"><c r="XFD9" s="1"/></row><row r="10"><c r="XFC10" s="1" /></row>'
        b'<row r="1048576" spans="1:16384" x14ac:dyDescent="0.15"><c s="1" r="XFD1048576"/></row>'
    )
    check_two(
        rezip(
            plain,
            tmp_path / "b.xlsx",
            sheet1=sheet.replace(b"</sheetData>", formats + b"</sheetData>"),
        )
    )
    assert b"XFD" not in sheet


def test_references_that_cannot_be_followed_are_refused(tmp_path: Path) -> None:
    plain = ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO})
    with zipfile.ZipFile(plain) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
        strings = archive.read("xl/sharedStrings.xml")
    for hidden in (b'<row x=">" r="99999999">', b'<row x="<" r="99999999">'):
        content = sheet.replace(b"</sheetData>", hidden + b"<c><v>1</v></c></row></sheetData>")
        assert refusal(rezip(plain, tmp_path / "b.xlsx", sheet1=content)) == "ledger.damaged"
    # Room for so many strings would be made before the first is read.
    many = strings.replace(b'uniqueCount="', b'uniqueCount="9999999999')
    assert many != strings
    assert refusal(rezip(plain, tmp_path / "c.xlsx", sharedStrings=many)) == "ledger.too_large"


def test_nor_by_the_size_of_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO})
    bomb = rezip(path, tmp_path / "b.xlsx", styles=b" " * 3_000_000)
    lying = (tmp_path / "c.xlsx").write_bytes(bomb.read_bytes())
    assert lying < 20_000
    monkeypatch.setattr("services.residents_api.domain.ledger.xlsx_guard.MAX_XLSX_BYTES", 1_000_000)
    assert refusal(bomb) == "ledger.too_large"
    check_two(path)
    # Sizes in the zip's directory that claim less are not believed.
    content = bomb.read_bytes()
    size = (3_000_000).to_bytes(4, "little")
    assert content.count(size) >= 1
    lies = tmp_path / "d.xlsx"
    lies.write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    assert refusal(lies) == "ledger.too_large"


def test_nor_as_xls(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(xls_files.far_cells(2000, 200))
    assert len(open_ledger(path)) == 1
    path.write_bytes(xls_files.far_cells(2000, 60000))
    assert refusal(path) == "ledger.too_large"
    path.write_bytes(xls_files.far_cells(65535, 255, sheets=2))
    assert refusal(path) == "ledger.too_large"


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (44, 0x7FFFFFFF),
        (40, 0x7FFFFFFF),
        (64, 0x7FFFFFFF),
        (68, 1),
        (48, 0x00FFFFFF),
        (512 + 128 + 120, 0x7FFFFFFF),
        (512 + 128 + 116, 0x00FFFFFF),
        (1024 + 4 * 2, 2),
        (1024, 0),
    ],
    ids=[
        "table",
        "directory",
        "mini",
        "difat",
        "far",
        "size",
        "start",
        "circle",
        "circle of directory",
    ],
)
def test_lengths_and_chains_that_lie(tmp_path: Path, offset: int, value: int) -> None:
    content = bytearray(xls_files.far_cells(10, 10))
    path = tmp_path / "a.xls"
    path.write_bytes(content)
    assert len(open_ledger(path)) == 1
    content[offset : offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)
    assert refusal(path) == "ledger.damaged"


def test_records_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    strings = xls_files.record(0xFC, pack("<II", 1, 0x7FFFFFFF))
    path.write_bytes(xls_files.with_records(of_workbook=strings))
    assert refusal(path) == "ledger.damaged"
    for rows, columns in (((0, 0xFFFFFFFF), (0, 5)), ((9, 5), (0, 5)), ((0, 5), (9, 5))):
        dimensions = xls_files.record(0x200, pack("<IIHHH", *rows, *columns, 0))
        path.write_bytes(xls_files.with_records(dimensions))
        assert refusal(path) == "ledger.damaged"
    # Cells with nothing but a format are no cells, wherever they stand.
    blank = xls_files.record(0x201, pack("<HHH", 65535, 60000, 0))
    path.write_bytes(xls_files.with_records(blank))
    assert len(open_ledger(path)) == 1


def test_long_lines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    long = "好" * limits.MAX_LINE_CHARACTERS
    path.write_text(f"姓名,身份证号\n张三,{long}\n", encoding="utf-8")
    assert refusal(path) == "ledger.too_large"


def test_broken_workbooks_are_refused_and_nothing_worse(tmp_path: Path) -> None:
    rng = random.Random(20261124)  # noqa: S311  no secret
    xlsx = ledgers.write_xlsx(tmp_path / "a.xlsx", {"台账": TWO})
    with zipfile.ZipFile(xlsx) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    xls = tmp_path / "a.xls"
    xls_files.write_xls(xls, {"台账": TWO}, merges=[(2, 0, 3, 0)])
    broken = tmp_path / "broken"
    outcomes: set[str] = set()
    for turn in range(150):
        source = bytearray((xlsx.read_bytes(), sheet, xls.read_bytes())[turn % 3])
        for _ in range(rng.randint(1, 12)):
            source[rng.randrange(len(source))] = rng.randrange(256)
        if rng.random() < 0.3:
            del source[rng.randrange(len(source)) :]
        if turn % 3 == 1:
            rezip(xlsx, broken, sheet1=bytes(source))
        else:
            broken.write_bytes(source)
        try:
            ledgers.read(broken)
            outcomes.add("read")
        except LedgerUnreadable as error:
            outcomes.add(error.code)
    assert "ledger.damaged" in outcomes
