"""Writes small XLS files (MS-XLS in MS-CFB), for which no library is at hand."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from struct import pack

Value = str | float | date | None
Range = tuple[int, int, int, int]

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def write_xls(
    path: Path,
    sheets: dict[str, Sequence[Sequence[Value]]],
    *,
    merges: Sequence[Range] = (),
    hidden: Sequence[str] = (),
    filepass: bool = False,
    stream_name: str = "Workbook",
) -> None:
    """The sheets' rows from A1 on; `merges` (first row, first column, last row, last column)."""
    stream = _workbook(sheets, merges=merges, hidden=hidden, filepass=filepass)
    path.write_bytes(compound_file(stream_name, stream))


def far_cells(row: int, column: int, *, sheets: int = 1) -> bytes:
    """A workbook of sheets with a header and a cell at row and column, counted from 0."""
    return with_records(_number(row, column, 1.0), sheets=sheets)


def with_records(*records: bytes, sheets: int = 1, of_workbook: bytes = b"") -> bytes:
    """A workbook of sheets with a header and these records, and some records of the workbook."""
    header = _sheet([["姓名", "身份证号"]], ())[: -len(record(0x0A))]
    sheet = header + b"".join(records) + record(0x0A)
    named = [(f"s{n}", sheet) for n in range(sheets)]
    return compound_file("Workbook", _book(named, extra=of_workbook))


def compound_file(name: str, stream: bytes) -> bytes:
    stream = stream.ljust(4096, b"\0")
    sectors = -(-len(stream) // _SECTOR)
    # Directory and allocation table come first, then the stream.
    table = [_END, _FAT, *range(3, 2 + sectors), _END]
    assert len(table) <= 128, "one sector of table"
    header = pack(
        "<8s16xHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(0, 1, 0, 0, 4096, _END, 0, _END, 0, 1),
    )
    header += pack("<I", _FREE) * ((_SECTOR - len(header)) // 4)
    directory = _entry("Root Entry", 5, _END, 0, child=1) + _entry(name, 2, 2, len(stream))
    directory += _entry("", 0, 0, 0) * 2
    fat = pack("<128I", *table, *[_FREE] * (128 - len(table)))
    return header + directory + fat + stream.ljust(sectors * _SECTOR, b"\0")


def _entry(name: str, kind: int, start: int, size: int, *, child: int = _FREE) -> bytes:
    text = name.encode("utf-16-le")
    length = len(text) + 2 if name else 0
    return pack("<64sHBBIII16xI16xIQ", text, length, kind, 1, _FREE, _FREE, child, 0, start, size)


def _workbook(
    sheets: dict[str, Sequence[Sequence[Value]]],
    *,
    merges: Sequence[Range],
    hidden: Sequence[str],
    filepass: bool,
) -> bytes:
    return _book(
        [(name, _sheet(rows, merges)) for name, rows in sheets.items()],
        hidden=hidden,
        filepass=filepass,
    )


def _book(
    sheets: Sequence[tuple[str, bytes]],
    *,
    hidden: Sequence[str] = (),
    filepass: bool = False,
    extra: bytes = b"",
) -> bytes:
    head = record(0x809, pack("<HHHHII", 0x600, 5, 0, 0, 0, 6))
    if filepass:
        head += record(0x2F, pack("<HH", 0, 0x1234))
    head += extra
    # Cell formats: general, and 14, a date.
    head += b"".join(
        record(0xE0, pack("<HHHBBBBIIH", 0, f, 0, 0, 0, 0, 0, 0, 0, 0)) for f in (0, 14)
    )
    names = [name.encode("utf-16-le") for name, _ in sheets]
    position = len(head) + sum(12 + len(name) for name in names) + 4
    bounds = b""
    for (name, content), text in zip(sheets, names, strict=True):
        state = 1 if name in hidden else 0
        bounds += record(0x85, pack("<IBBBB", position, state, 0, len(text) // 2, 1) + text)
        position += len(content)
    return head + bounds + record(0x0A) + b"".join(content for _, content in sheets)


def _sheet(rows: Sequence[Sequence[Value]], merges: Sequence[Range]) -> bytes:
    content = record(0x809, pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 6))
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if isinstance(value, str):
                if value:
                    text = value.encode("utf-16-le")
                    label = pack("<HHHHB", row, column, 0, len(text) // 2, 1) + text
                    content += record(0x204, label)
            elif isinstance(value, date):
                content += _number(row, column, float((value - date(1899, 12, 30)).days), 1)
            elif value is not None:
                content += _number(row, column, float(value))
    ranges = b"".join(pack("<HHHH", r1, r2, c1, c2) for r1, c1, r2, c2 in merges)
    if merges:
        content += record(0xE5, pack("<H", len(merges)) + ranges)
    return content + record(0x0A)


def _number(row: int, column: int, value: float, form: int = 0) -> bytes:
    return record(0x203, pack("<HHHd", row, column, form, value))


def record(kind: int, content: bytes = b"") -> bytes:
    """A record of MS-XLS."""
    return pack("<HH", kind, len(content)) + content
