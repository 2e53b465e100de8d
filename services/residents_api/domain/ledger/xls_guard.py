"""Looks an XLS over before it is read: compound file, then the records of its workbook.

calamine believes the lengths that the file gives, makes room for them, follows chains of sectors
in circles, and lays out every sheet when it opens the file: 6 KB can ask for gigabytes, and what
cannot be had aborts the process. So everything it is going to follow is followed here first, in
the same way. The formats are MS-CFB and MS-XLS.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from struct import error as struct_error

from services.residents_api.domain.ledger.limits import (
    MAX_COLUMNS,
    MAX_MERGES,
    MAX_SHEETS,
    MAX_XLS_BYTES,
    MAX_XLS_CELLS,
)
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_END_OF_CHAIN = 0xFFFFFFFE
_FREE = 0xFFFFFFFF
_MINI_SECTOR = 64
_MINI_CUTOFF = 4096

# Records of MS-XLS.
_BOF = {0x0009, 0x0209, 0x0409, 0x0809}
_EOF = 0x000A
_FILEPASS = 0x002F
_BOUND_SHEET = 0x0085
_SHARED_STRINGS = 0x00FC
_DIMENSIONS = 0x0200
_MERGED = 0x00E5
# Records that begin with row and column of a cell, and those of several cells in a row, which
# end with the last column. Cells with nothing but a format are not laid out.
_CELLS = {0x0006, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E, 0x0406}
_CELL_RUN = 0x00BD

_SHORT = Struct("<H")
_PAIR = Struct("<HH")
_LONG = Struct("<I")
_ROWS = {10: Struct("<HHHH"), 14: Struct("<IIHH")}
_HEADER = Struct("<30xHH6xIII8xIIII")
_ENTRY = Struct("<64s52xIQ")


def check(path: Path) -> None:
    """Raise LedgerUnreadable unless the file is an unencrypted XLS of a ledger's size."""
    if path.stat().st_size > MAX_XLS_BYTES:
        raise LedgerUnreadable("ledger.too_large")
    try:
        _measure(_Compound(path.read_bytes()).workbook())
    except (struct_error, IndexError, KeyError, ValueError):
        raise LedgerUnreadable("ledger.damaged") from None


class _Compound:
    """A compound file: streams in chains of sectors."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        shift, mini_shift, directory_sectors, table_sectors, first_directory, *rest = (
            _HEADER.unpack_from(data)
        )
        first_mini, mini_sectors, first_difat, difat_sectors = rest
        if shift not in (9, 12) or mini_shift != 6:
            raise LedgerUnreadable("ledger.damaged")
        self._size = 1 << shift
        self._sectors = len(data) // self._size + 1
        if max(directory_sectors, table_sectors, mini_sectors, difat_sectors) > self._sectors:
            raise LedgerUnreadable("ledger.damaged")
        self._table = self._allocation(first_difat)
        self._entries = list(_entries(self._chain(first_directory), wide=shift == 12))
        # The first entry is the root, whose stream holds the small streams.
        self._small = self._stream(self._entries[0])
        self._small_table = _longs(self._chain(first_mini))

    def workbook(self) -> bytes:
        names = [name for name, _, _ in self._entries]
        if "EncryptedPackage" in names:
            raise LedgerUnreadable("ledger.encrypted")
        for name in ("Workbook", "Book"):
            if name in names:
                return self._stream(self._entries[names.index(name)])
        raise LedgerUnreadable("ledger.format")

    def _stream(self, entry: tuple[str, int, int]) -> bytes:
        name, first, size = entry
        if size > len(self._data):
            raise LedgerUnreadable("ledger.damaged")
        if size >= _MINI_CUTOFF or name == self._entries[0][0]:
            return self._chain(first)[:size]
        return b"".join(
            self._small[_MINI_SECTOR * index : _MINI_SECTOR * (index + 1)]
            for index in _indexes(self._small_table, first)
        )[:size]

    def _allocation(self, first_difat: int) -> list[int]:
        """Which sector follows which: the table whose own sectors the header lists."""
        sectors = _longs(self._data[76:512])
        following = first_difat
        for _ in range(self._sectors):
            if following in (_END_OF_CHAIN, _FREE):
                break
            *block, following = _longs(self._sector(following))
            sectors += block
        else:
            raise LedgerUnreadable("ledger.damaged")
        return [
            entry for index in sectors if index != _FREE for entry in _longs(self._sector(index))
        ]

    def _chain(self, first: int) -> bytes:
        if first == _FREE:
            return b""
        return b"".join(self._sector(index) for index in _indexes(self._table, first))

    def _sector(self, index: int) -> bytes:
        if index >= self._sectors:
            raise LedgerUnreadable("ledger.damaged")
        return self._data[(index + 1) * self._size : (index + 2) * self._size]


def _entries(directory: bytes, *, wide: bool) -> Iterator[tuple[str, int, int]]:
    for start in range(0, len(directory) - 127, 128):
        name, first, size = _ENTRY.unpack_from(directory, start)
        text = name.decode("utf-16-le", errors="ignore").partition("\0")[0]
        yield text, first, size if wide else size & 0xFFFFFFFF


def _indexes(table: list[int], first: int) -> Iterator[int]:
    index = first
    # A chain longer than the table goes in circles.
    for _ in range(len(table) + 1):
        if index == _END_OF_CHAIN:
            return
        yield index
        index = table[index]
    raise LedgerUnreadable("ledger.damaged")


def _longs(block: bytes) -> list[int]:
    return [value for (value,) in _LONG.iter_unpack(block[: len(block) // 4 * 4])]


def _measure(stream: bytes) -> None:
    # Cells by the position of the substream (a sheet) in which they stand.
    substreams: dict[int, int] = {}
    sheets: list[int] = []
    start: int | None = None
    rows = columns = merges = 0
    for position, kind, record in _records(stream):
        if kind in _BOF and start is None:
            start, rows, columns = position, 0, 0
        elif kind == _EOF and start is not None:
            substreams[start] = rows * columns
            start = None
        elif kind == _FILEPASS:
            raise LedgerUnreadable("ledger.encrypted")
        elif kind == _BOUND_SHEET:
            sheets.append(_LONG.unpack_from(record)[0])
        elif kind in _CELLS or kind == _CELL_RUN:
            row, column = _PAIR.unpack_from(record)
            if kind == _CELL_RUN:
                column = max(column, *_SHORT.unpack_from(record, len(record) - 2))
            rows, columns = max(rows, row + 1), max(columns, column + 1)
            if columns > MAX_COLUMNS:
                raise LedgerUnreadable("ledger.too_large")
        else:
            merges += len(record) // 8 if kind == _MERGED else 0
            _check_room(kind, record, len(stream))
    # A sheet begins where a substream does, and may begin where another has begun already.
    if sum(substreams[sheet] for sheet in sheets) > MAX_XLS_CELLS:
        raise LedgerUnreadable("ledger.too_large")
    if len(sheets) > MAX_SHEETS or merges > MAX_MERGES:
        raise LedgerUnreadable("ledger.too_large")
    if not sheets:
        raise LedgerUnreadable("ledger.damaged")


def _check_room(kind: int, record: memoryview, size: int) -> None:
    """Refuse the two records that say how much is to come, if they say what cannot be."""
    if kind == _SHARED_STRINGS and _LONG.unpack_from(record, 4)[0] > size:
        raise LedgerUnreadable("ledger.damaged")
    if kind == _DIMENSIONS:
        first_row, last_row, first_column, last_column = _ROWS[len(record)].unpack(record[:-2])
        if last_row and last_column and (first_row >= last_row or first_column >= last_column):
            raise LedgerUnreadable("ledger.damaged")
        if last_row > 65536 or last_column > MAX_COLUMNS:
            raise LedgerUnreadable("ledger.damaged")


def _records(stream: bytes) -> Iterator[tuple[int, int, memoryview]]:
    view = memoryview(stream)
    position, end = 0, len(stream)
    while position + 4 <= end:
        kind, length = _PAIR.unpack_from(stream, position)
        if position + 4 + length > end:
            return
        yield position, kind, view[position + 4 : position + 4 + length]
        position += 4 + length
