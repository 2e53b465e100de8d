"""Looks an XLSX over before it is read: the reader itself knows no limits.

calamine allocates the whole rectangle between a sheet's outermost cells, so a file of a
kilobyte can abort the process (no exception can be caught), and a zip of a megabyte can hold
a gigabyte. Sizes are measured by decompressing, and every part is measured: neither what a zip
says about its sizes nor the names of its parts are believed.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import error as zlib_error

from services.residents_api.domain.ledger.limits import (
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_MERGES,
    MAX_SHARED_STRINGS_BYTES,
    MAX_XLSX_BYTES,
    MAX_XLSX_PARTS,
)
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

_CHUNK = 1 << 20
# A text without any "<" for so long is no part of a workbook that the reader would read.
_MAX_TEXT_BYTES = 1 << 24

# Whole tags as nearly every program writes them, with nothing else that could be a reference;
# found many times faster than all that XML allows. A cell that ends with its tag has only a
# format, often to the end of its row, and is not laid out.
_PLAIN_CELL = re.compile(rb'<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?(?: t="[A-Za-z]+")?( ?/)?>')
_PLAIN_ROW = re.compile(rb'<row r="([0-9]+)"(?: [a-qs-z][0-9A-Za-z:]*="[^"<>]*")* ?/?>')
_TAG = re.compile(rb"<(?:\w+:)?(c|row)(?=[\s/>])([^<>]*)")
_REFERENCE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]+)["']""")
# How many strings the reader makes room for before it has read any.
_UNIQUE_COUNT = re.compile(rb"""uniqueCount\s*=\s*["']([0-9]+)""")

# What zipfile says to broken archives: also OSError for a seek to nowhere, RuntimeError for an
# encrypted part, NotImplementedError for a compression that no workbook has.
_BROKEN = (
    zipfile.BadZipFile,
    zlib_error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def check(path: Path) -> None:
    """Raise LedgerUnreadable unless the zip is an XLSX of a size that a ledger has."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
    except _BROKEN:
        raise LedgerUnreadable("ledger.damaged") from None


def _check(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    names = {part.filename.replace("\\", "/").lower() for part in parts}
    if not {"[content_types].xml", "xl/workbook.xml"} <= names:
        raise LedgerUnreadable("ledger.format")
    if len(parts) > MAX_XLSX_PARTS:
        raise LedgerUnreadable("ledger.too_large")
    left, cells = MAX_XLSX_BYTES, 0
    for part in parts:
        strings = part.filename.lower().endswith("sharedstrings.xml")
        limit = min(left, MAX_SHARED_STRINGS_BYTES) if strings else left
        extent, size = _Extent(), 0
        for chunk in _chunks(archive, part):
            size += len(chunk)
            if size > limit:
                raise LedgerUnreadable("ledger.too_large")
            extent.add(chunk)
        left -= size
        cells += extent.cells
        if cells > MAX_CELLS:
            raise LedgerUnreadable("ledger.too_large")


class _Extent:
    """The rectangle that the cells of a part span: never less than the reader would lay out."""

    def __init__(self) -> None:
        # Of the cells that hold something, counted from 1.
        self._rows = self._columns = 0
        # Where a row and a cell without reference come to stand.
        self._next_row = self._next_column = 1
        self._merges = 0
        self._tail = b""

    @property
    def cells(self) -> int:
        return self._rows * self._columns

    def add(self, chunk: bytes) -> None:
        text = self._tail + chunk
        # Only whole elements: the last one goes on in the next chunk.
        cut = max(text.rfind(b"<"), 0)
        text, self._tail = text[:cut], text[cut:]
        if len(self._tail) > _MAX_TEXT_BYTES:
            raise LedgerUnreadable("ledger.damaged")
        cells, rows = _PLAIN_CELL.findall(text), _PLAIN_ROW.findall(text)
        plain = len(cells) == text.count(b"<c") and len(rows) == text.count(b"<row")
        if plain and b":c" not in text and b":row" not in text:
            self._add_plain(cells, rows)
        else:
            for kind, attributes in _TAG.findall(text):
                self._add_tag(kind, attributes)
        self._merges += text.count(b"mergeCell ")
        if (
            self._columns > MAX_COLUMNS
            or self.cells > MAX_CELLS
            or self._merges > MAX_MERGES
            or any(int(count[:12]) > MAX_CELLS for count in _UNIQUE_COUNT.findall(text))
        ):
            raise LedgerUnreadable("ledger.too_large")

    def _add_plain(
        self, cells: Sequence[tuple[bytes, bytes, bytes]], rows: Sequence[bytes]
    ) -> None:
        columns = {column for column, _, ended in cells if not ended}
        self._columns = max(self._columns, *map(_column, columns), 0)
        self._rows = max(self._rows, *map(_row, {row for _, row, ended in cells if not ended}), 0)
        self._next_row = max(self._next_row, 1 + max(map(_row, rows), default=0))
        self._next_column = max(self._next_column, self._columns + 1)

    def _add_tag(self, kind: bytes, attributes: bytes) -> None:
        # A ">" inside quotes ends the pattern too early, and what follows would be missed.
        if attributes.count(b'"') % 2 or attributes.count(b"'") % 2:
            raise LedgerUnreadable("ledger.damaged")
        # Said twice, the last counts, or the first: take the farthest.
        references = _REFERENCE.findall(attributes)
        row = max((_row(digits) for _, digits in references), default=0)
        if kind == b"row":
            self._next_row = (row or self._next_row) + 1
            self._next_column = 1
            return
        row = row or self._next_row - 1
        column = max((_column(letters) for letters, _ in references), default=self._next_column)
        self._next_column = column + 1
        if not attributes.endswith(b"/"):
            self._rows, self._columns = max(self._rows, row), max(self._columns, column)


def _row(digits: bytes) -> int:
    # The reader lets large numbers overflow; here they stay large.
    return int(digits[:12])


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters[:8].upper():
        number = number * 26 + letter - 64
    return number


def _chunks(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    # zipfile stops at the size that the directory claims; the reader reads to the end.
    part.file_size = MAX_XLSX_BYTES + _CHUNK
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
