"""Looks an XLS over before it is read: compound file, then the records of its workbook.

calamine lays out every sheet when it opens the file, 16 million cells for two cells in opposite
corners, so that a file of 6 KB can ask for gigabytes. The formats are MS-CFB and MS-XLS.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from struct import error as struct_error

from services.residents_api.domain.ledger.limits import (
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_MERGES,
    MAX_SHEETS,
    MAX_XLS_BYTES,
)
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_LAST_SECTOR = 0xFFFFFFFA
_ENCRYPTED_PACKAGE = "EncryptedPackage"
_WORKBOOK_NAMES = ("workbook", "book")

# Records of MS-XLS.
_BOF = {0x0009, 0x0209, 0x0409, 0x0809}
_FILEPASS = 0x002F
# Records that begin with row and column of a cell.
_CELLS = {0x0006, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x0406}
# Records that begin with row and first column and end with the last column.
_CELL_RUNS = {0x00BD, 0x00BE}
_MERGED = 0x00E5

_SHORT = Struct("<H")
_PAIR = Struct("<HH")
_LONG = Struct("<I")
_HEADER = Struct("<24x2xHHHH6x4xIIIIIIIII")
_ENTRY = Struct("<64sHB1x4x4x4x16x4x8x8xII")


def check(path: Path) -> None:
    """Raise LedgerUnreadable unless the file is an unencrypted XLS of a ledger's size."""
    if path.stat().st_size > MAX_XLS_BYTES:
        raise LedgerUnreadable("ledger.too_large")
    try:
        stream = _workbook(path.read_bytes())
        _measure(stream)
    except (struct_error, IndexError, ValueError):
        raise LedgerUnreadable("ledger.format") from None


def _measure(stream: bytes) -> None:
    sheets = cells = rows = columns = merges = 0
    for kind, start, length in _records(stream):
        if kind in _BOF:
            sheets += 1
            cells += rows * columns
            rows = columns = 0
        elif kind == _FILEPASS:
            raise LedgerUnreadable("ledger.encrypted")
        elif kind == _MERGED:
            merges += length // 8
        elif (kind in _CELLS or kind in _CELL_RUNS) and length >= 4:
            row, column = _PAIR.unpack_from(stream, start)
            if kind in _CELL_RUNS:
                column = max(column, _SHORT.unpack_from(stream, start + length - 2)[0])
            rows, columns = max(rows, row + 1), max(columns, column + 1)
            if columns > MAX_COLUMNS or cells + rows * columns > MAX_CELLS:
                raise LedgerUnreadable("ledger.too_large")
    if sheets > MAX_SHEETS or merges > MAX_MERGES:
        raise LedgerUnreadable("ledger.too_large")
    if not sheets:
        raise LedgerUnreadable("ledger.format")


def _records(stream: bytes) -> Iterator[tuple[int, int, int]]:
    position, end = 0, len(stream)
    while position + 4 <= end:
        kind, length = _PAIR.unpack_from(stream, position)
        if position + 4 + length > end:
            return
        yield kind, position + 4, length
        position += 4 + length


def _workbook(data: bytes) -> bytes:
    """The workbook's stream out of the compound file."""
    header = _HEADER.unpack_from(data)
    sector = 1 << header[2]
    if header[2] not in (9, 12):
        raise LedgerUnreadable("ledger.format")
    first_directory, mini_cutoff = header[5], header[7]
    table = _allocation(data, sector, first_difat=header[10])
    directory = _chain(data, table, first_directory, sector)
    entries = {name: (first, size) for name, first, size in _entries(directory)}
    if _ENCRYPTED_PACKAGE.lower() in entries:
        raise LedgerUnreadable("ledger.encrypted")
    for name in _WORKBOOK_NAMES:
        if name not in entries:
            continue
        first, size = entries[name]
        if size >= mini_cutoff:
            return _chain(data, table, first, sector)[:size]
        mini_stream = _chain(data, table, entries["root entry"][0], sector)
        mini_table = _longs(_chain(data, table, header[8], sector))
        return b"".join(
            mini_stream[64 * index : 64 * index + 64] for index in _indexes(mini_table, first)
        )[:size]
    raise LedgerUnreadable("ledger.format")


def _entries(directory: bytes) -> Iterator[tuple[str, int, int]]:
    for start in range(0, len(directory) - 127, 128):
        name, length, kind, first, size = _ENTRY.unpack_from(directory, start)
        if kind in (1, 2, 5):
            yield name[: max(length - 2, 0)].decode("utf-16-le").lower(), first, size


def _allocation(data: bytes, sector: int, *, first_difat: int) -> list[int]:
    """Which sector follows which: the table whose own sectors the header lists."""
    sectors = _longs(data[76:512])
    following = first_difat
    for _ in range(len(data) // sector + 1):
        if following >= _LAST_SECTOR:
            break
        block = _longs(_sector(data, following, sector))
        sectors += block[:-1]
        following = block[-1]
    return [
        entry
        for index in sectors
        if index < _LAST_SECTOR
        for entry in _longs(_sector(data, index, sector))
    ]


def _chain(data: bytes, table: list[int], first: int, sector: int) -> bytes:
    return b"".join(_sector(data, index, sector) for index in _indexes(table, first))


def _indexes(table: list[int], first: int) -> Iterator[int]:
    index = first
    # A chain longer than the table goes in circles.
    for _ in range(len(table)):
        if index >= _LAST_SECTOR:
            return
        yield index
        index = table[index]
    if index < _LAST_SECTOR:
        raise LedgerUnreadable("ledger.format")


def _sector(data: bytes, index: int, size: int) -> bytes:
    return data[(index + 1) * size : (index + 2) * size]


def _longs(block: bytes) -> list[int]:
    return [value for (value,) in _LONG.iter_unpack(block[: len(block) // 4 * 4])]
