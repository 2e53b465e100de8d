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
    MAX_SHARED_STRINGS_BYTES,
    MAX_XLSX_BYTES,
    MAX_XLSX_PARTS,
)
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

_CHUNK = 1 << 20
# A text without any "<" for so long is no part of a workbook that the reader would read.
_MAX_TEXT_BYTES = 1 << 24
_REFERENCE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]+)([0-9]+)["']""")
_ROW_REFERENCE = re.compile(rb"""<(?:\w+:)?row\s[^>]*?\br\s*=\s*["']([0-9]+)["']""")
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
        # Rows and cells may come without references, one after the other.
        self._rows_met = self._cells_in_row = 0
        self._tail = b""

    @property
    def cells(self) -> int:
        return max(self._rows, self._rows_met) * self._columns

    def add(self, chunk: bytes) -> None:
        text = self._tail + chunk
        # Only whole elements: the last one goes on in the next chunk.
        cut = text.rfind(b"<")
        text, self._tail = text[: max(cut, 0)], text[max(cut, 0) :]
        if len(self._tail) > _MAX_TEXT_BYTES:
            raise LedgerUnreadable("ledger.format")
        references = _REFERENCE.findall(text)
        if references:
            columns = {column for column, _ in references}
            self._columns = max(self._columns, *map(_number_of, columns))
            self._rows = max(self._rows, max(map(int, (row for _, row in references))))
        rows = _ROW_REFERENCE.findall(text)
        if rows:
            self._rows = max(self._rows, max(map(int, rows)))
        if len(references) < len(_CELL.findall(text)):
            self._count_bare_cells(text)
        else:
            self._rows_met += len(_ROW.findall(text))
            self._cells_in_row = 0
        if self._columns > MAX_COLUMNS or self.cells > MAX_CELLS:
            raise LedgerUnreadable("ledger.too_large")

    def _count_bare_cells(self, text: bytes) -> None:
        for index, row in enumerate(_ROW.split(text)):
            if index:
                self._rows_met += 1
                self._cells_in_row = 0
            self._cells_in_row += len(_CELL.findall(row))
            self._columns = max(self._columns, self._cells_in_row)


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
