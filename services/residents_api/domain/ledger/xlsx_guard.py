"""Looks an XLSX over before it is read: the reader itself knows no limits.

calamine allocates the whole rectangle between a sheet's outermost cells, so a file of a
kilobyte can abort the process (no exception can be caught), and a zip of a megabyte can hold
a gigabyte. Sizes are measured by decompressing, and every part is measured: neither what a zip
says about its sizes nor the names of its parts are believed.
"""

import re
import zipfile
from collections.abc import Iterator
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
# found three times faster than all that XML allows.
_PLAIN_CELL = re.compile(rb'<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?(?: t="[A-Za-z]+")?/?>')
_PLAIN_ROW = re.compile(rb'<row r="([0-9]+)"(?: [a-qs-z][0-9A-Za-z:]*="[^"<>]*")*/?>')
_REFERENCE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]+)([0-9]+)["']""")
_ROW_REFERENCE = re.compile(rb"""\br\s*=\s*["']([0-9]+)["']""")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")


def check(path: Path) -> None:
    """Raise LedgerUnreadable unless the zip is an XLSX of a size that a ledger has."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
    except (
        zipfile.BadZipFile,
        zlib_error,
        NotImplementedError,
        EOFError,
        ValueError,
        RuntimeError,
    ):
        # RuntimeError: an encrypted member; NotImplementedError: a compression nobody uses here.
        raise LedgerUnreadable("ledger.format") from None


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
        self._rows = self._columns = 0
        # Rows and cells may come without references, each after the one before it.
        self._bare_rows = self._bare_columns = self._bare_in_row = 0
        self._merges = 0
        self._tail = b""

    @property
    def columns(self) -> int:
        return self._columns + self._bare_columns

    @property
    def cells(self) -> int:
        return (self._rows + self._bare_rows) * self.columns

    def add(self, chunk: bytes) -> None:
        text = self._tail + chunk
        # Only whole elements: the last one goes on in the next chunk.
        cut = max(text.rfind(b"<"), 0)
        text, self._tail = text[:cut], text[cut:]
        if len(self._tail) > _MAX_TEXT_BYTES:
            raise LedgerUnreadable("ledger.format")
        references, rows = _PLAIN_CELL.findall(text), _PLAIN_ROW.findall(text)
        plain = len(references) == text.count(b"<c") and len(rows) == text.count(b"<row")
        if not plain or b":c" in text or b":row" in text:
            references, rows = _REFERENCE.findall(text), _ROW_REFERENCE.findall(text)
            self._count_bare(text)
        if references:
            self._columns = max(self._columns, *(_number_of(c) for c in {c for c, _ in references}))
        for row in {*rows, *(row for _, row in references)}:
            self._rows = max(self._rows, _limited(row))
        self._merges += text.count(b"mergeCell ")
        if self._merges > MAX_MERGES:
            raise LedgerUnreadable("ledger.too_large")
        if self.columns > MAX_COLUMNS or self.cells > MAX_CELLS:
            raise LedgerUnreadable("ledger.too_large")

    def _count_bare(self, text: bytes) -> None:
        starts = len(_ROW.findall(text))
        self._bare_rows += starts - min(starts, len(_ROW_REFERENCE.findall(text)))
        if len(_CELL.findall(text)) == len(_REFERENCE.findall(text)):
            self._bare_in_row = 0
            return
        for index, row in enumerate(_ROW.split(text)):
            if index:
                self._bare_in_row = 0
            self._bare_in_row += max(len(_CELL.findall(row)) - len(_REFERENCE.findall(row)), 0)
            self._bare_columns = max(self._bare_columns, self._bare_in_row)


def _limited(number: bytes) -> int:
    """A row's number; the reader lets large ones overflow, here they stay large."""
    return int(number[:12])


def _number_of(letters: bytes) -> int:
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
