"""Opens a ledger: what the file holds decides, not what it is called."""

from pathlib import Path

from services.residents_api.domain.ledger import delimited, spreadsheets, xls_guard, xlsx_guard
from services.residents_api.domain.ledger.headers import Words
from services.residents_api.domain.ledger.sheets import Sheet
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"


def is_workbook(path: Path) -> bool:
    """Whether the file says that it is an XLSX or XLS."""
    with path.open("rb") as stream:
        return stream.read(8).startswith((_ZIP, _EMPTY_ZIP, xls_guard.SIGNATURE))


def open_ledger(path: Path, words: Words | None = None) -> list[Sheet]:
    """The sheets of an XLSX, XLS or delimited text file, in order, at least one. `words` are what
    its source calls its columns.

    Raises LedgerUnreadable when the file as a whole is no ledger. Rows are read when they are
    asked for; a workbook's cells are in memory until the sheets are let go, at most some
    800 MB, a text file's never.
    """
    words = words or {}
    with path.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise LedgerUnreadable("ledger.empty")
    if start.startswith((_ZIP, _EMPTY_ZIP)):
        xlsx_guard.check(path)
        return spreadsheets.open_workbook(path, words)
    if start == xls_guard.SIGNATURE:
        xls_guard.check(path)
        return spreadsheets.open_workbook(path, words)
    return [delimited.open_text(path, words)]
