"""Ledgers (台账): from a file to persons in dwellings, with a code for everything wrong.

open_ledger(path) -> sheets -> records(sheets) -> check(record)
"""

from services.residents_api.domain.ledger.header_words import Field
from services.residents_api.domain.ledger.headers import Header, Words
from services.residents_api.domain.ledger.records import Record, records
from services.residents_api.domain.ledger.rows import LedgerRow, check
from services.residents_api.domain.ledger.sheets import Sheet
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable, UnreadableCode
from services.residents_api.domain.ledger.villages import Villages
from services.residents_api.domain.ledger.workbook import is_workbook, open_ledger

__all__ = [
    "Field",
    "Header",
    "LedgerRow",
    "LedgerUnreadable",
    "Record",
    "Sheet",
    "UnreadableCode",
    "Villages",
    "Words",
    "check",
    "is_workbook",
    "open_ledger",
    "records",
]
