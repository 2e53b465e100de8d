"""Why a file is no ledger."""

from typing import Literal

UnreadableCode = Literal[
    "ledger.format",
    "ledger.damaged",
    "ledger.encrypted",
    "ledger.too_large",
    "ledger.empty",
    "ledger.no_header",
    "ledger.duplicate_columns",
]


class LedgerUnreadable(Exception):
    """The file as a whole cannot be read; `code` says why. Never holds what the file says.

    LedgerUnreadable
    ├── ledger.format             no XLSX, XLS or delimited text
    ├── ledger.damaged            an XLSX or XLS that is cut off or broken
    ├── ledger.encrypted          protected with a password
    ├── ledger.too_large          more rows, columns, cells or bytes than a ledger has
    ├── ledger.empty              no cell holds anything
    ├── ledger.no_header          no sheet has a row that names its columns
    └── ledger.duplicate_columns  rows with two persons side by side
    """

    def __init__(self, code: UnreadableCode) -> None:
        super().__init__(code)
        self.code: UnreadableCode = code
