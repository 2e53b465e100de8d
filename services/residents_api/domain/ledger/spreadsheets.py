"""Ledgers as XLSX and XLS, read with calamine."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from services.residents_api.domain.ledger import headers
from services.residents_api.domain.ledger.sheets import Merges, Sheet
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable


def open_workbook(path: Path, words: headers.Words) -> list[Sheet]:
    """The visible sheets that have a header; LedgerUnreadable if there are none.

    Sheets without a header, notes or a legend, are left out. So are lists of names that say
    neither number nor birth date, if another sheet does: a list of staff beside the ledger.
    """
    try:
        # By content: from_path() would believe the file's name.
        with path.open("rb") as stream, CalamineWorkbook.from_filelike(stream) as workbook:
            visible = [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.visible is SheetVisibleEnum.Visible
                and sheet.typ is SheetTypeEnum.WorkSheet
            ]
            loaded = [workbook.get_sheet_by_name(name) for name in visible]
    except PasswordError:
        raise LedgerUnreadable("ledger.encrypted") from None
    except (CalamineError, OSError, ValueError):
        raise LedgerUnreadable("ledger.damaged") from None
    except BaseException as error:
        # A broken file can make the reader panic, which arrives as no Exception.
        if type(error).__name__ == "PanicException":
            raise LedgerUnreadable("ledger.damaged") from None
        raise
    if all(sheet.start is None for sheet in loaded):
        raise LedgerUnreadable("ledger.empty")
    sheets = [sheet for one in loaded if (sheet := _sheet(one, words))]
    if not sheets:
        raise LedgerUnreadable("ledger.no_header")
    if any(sheet.header.identifies for sheet in sheets):
        return [sheet for sheet in sheets if sheet.header.identifies]
    return sheets


def _sheet(loaded: CalamineSheet, words: headers.Words) -> Sheet | None:
    read = partial(_rows, loaded)
    header = headers.find(list(islice(read(), headers.SEARCHED_ROWS)), words)
    return Sheet(loaded.name, header, read, _merges(loaded)) if header else None


def _rows(loaded: CalamineSheet) -> Iterator[headers.Row]:
    # The reader starts at the sheet's first row, but at the first column that is used.
    indent: list[None] = [None] * (loaded.start[1] if loaded.start else 0)
    for number, cells in enumerate(loaded.iter_rows(), 1):
        yield number, [*indent, *cells] if indent else cells


def _merges(loaded: CalamineSheet) -> Merges:
    return {
        (first[0] + 1, first[1]): last[0] + 1
        for first, last in loaded.merged_cell_ranges or ()
        if last[0] > first[0]
    }
