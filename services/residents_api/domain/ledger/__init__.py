"""Ledgers (台账): from a file to persons in dwellings, with a code for everything wrong.

open_ledger(path) -> sheets -> records(sheets) -> check(record) -> fold(rows)
"""

from services.residents_api.domain.ledger.folding import Occupancy, Person, duplicates, fold
from services.residents_api.domain.ledger.header_words import Field
from services.residents_api.domain.ledger.headers import Header
from services.residents_api.domain.ledger.records import Record, records
from services.residents_api.domain.ledger.rows import LedgerRow, check
from services.residents_api.domain.ledger.sheets import Sheet
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable, UnreadableCode
from services.residents_api.domain.ledger.workbook import open_ledger

__all__ = [
    "Field",
    "Header",
    "LedgerRow",
    "LedgerUnreadable",
    "Occupancy",
    "Person",
    "Record",
    "Sheet",
    "UnreadableCode",
    "check",
    "duplicates",
    "fold",
    "open_ledger",
    "records",
]
