"""A ledger once more as a workbook, with what became of each row, and the offending cells marked.

It runs in a process of its own: it reads the file again, which is foreign (`reading`).
"""

import contextlib
import json
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.common.problems import Text
from services.common.workers import end_with_parent
from services.residents_api.domain import dates
from services.residents_api.domain.cells import Cell, says_nothing, text_of
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.codes import CODES, RowCode
from services.residents_api.domain.dates import DateError
from services.residents_api.domain.ledger import (
    Field,
    Header,
    LedgerUnreadable,
    Words,
    open_ledger,
)
from services.residents_api.domain.ledger.header_words import DWELLING_LEVELS
from services.residents_api.domain.ledger.headers import repeated
from services.residents_api.domain.ledger.sheets import Sheet
from services.residents_api.service.ledger.books import (
    MAX_COLUMNS,
    MAX_ROWS,
    Page,
    Style,
    storable,
    written,
)

UNREADABLE = 3

_MAX_SHEET_NAME = 31
_LARGEST_INTEGER = 10**15

_DWELLING: tuple[Field, ...] = (*DWELLING_LEVELS, "address")
_FIELDS: dict[RowCode, tuple[Field, ...]] = {
    "name.missing": ("name",),
    "identity.missing": ("id_number", "birth_date"),
    "id_number.precision_lost": ("id_number",),
    "id_number.length": ("id_number",),
    "id_number.format": ("id_number",),
    "id_number.birth_date": ("id_number",),
    "id_number.check_digit": ("id_number",),
    "id_number.upgraded_15": ("id_number",),
    "birth_date.in_future": ("birth_date",),
    "birth_date.conflicts_with_id": ("birth_date",),
    "birth_date.implausible": ("birth_date",),
    "dwelling.missing": _DWELLING,
    "dwelling.demolished": _DWELLING,
    "sex.conflicts_with_id": ("sex",),
    "start_date.in_future": ("start_date",),
    "phone.invalid": ("phones",),
    "row.duplicate": ("name",),
    "village.conflicts_with_import": ("village",),
    "resident.elsewhere": ("name",),
    "name.conflicts_with_register": ("name",),
}
_CODED: tuple[Field, ...] = (
    *("sex", "relation_to_head", "tenure", "population_type", "ethnicity", "education"),
    *("marital_status", "political_status"),
)
_DATES: tuple[Field, ...] = ("birth_date", "start_date")

_HEADINGS = (Text("导入结果", "Outcome of the import"), Text("导入提示", "Codes of the import"))
_OUTCOMES = {
    "created": Text("新增", "new"),
    "changed": Text("有变化", "changed"),
    "unchanged": Text("无变化", "unchanged"),
    "accepted": Text("已接受", "accepted"),
    "rejected": Text("未导入", "rejected"),
}


@dataclass(frozen=True, slots=True)
class Note:
    """What became of a row. Its place in the file is (sheet, row)."""

    sheet: int
    row: int
    outcome: str
    codes: tuple[RowCode, ...]

    def line(self) -> str:
        return json.dumps([self.sheet, self.row, self.outcome, self.codes]) + "\n"


def mark(
    source: Path, words: Words, notes: Path, place: Path, target: Path, language: str, memory: int
) -> None:
    """The work of the process: from the ledger at `source` and lines of notes to a workbook."""
    end_with_parent()
    # macOS knows no such limit.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        with notes.open(encoding="ascii") as lines:
            _mark(source, words, _read(lines), place, target, language, date.today())  # noqa: DTZ011
    except (LedgerUnreadable, MemoryError):
        sys.exit(UNREADABLE)


def _read(lines: Iterator[str]) -> Iterator[Note]:
    for line in lines:
        sheet, row, outcome, codes = json.loads(line)
        yield Note(sheet, row, outcome, tuple(codes))


def _mark(
    source: Path,
    words: Words,
    notes: Iterator[Note],
    place: Path,
    target: Path,
    language: str,
    today: date,
) -> None:
    sheets = open_ledger(source, words)
    with written(target, place=place) as book:
        styles = _Styles(
            fault=book.add_format({"bg_color": "#FFC7CE"}),
            remark=book.add_format({"bg_color": "#FFEB9C"}),
            day=book.add_format({"num_format": "yyyy-mm-dd"}),
        )
        waiting = next(notes, None)
        for number, sheet in enumerate(sheets):
            name = f"{number + 1} {_sheet_name(sheet.name)}".strip()[:_MAX_SHEET_NAME]
            page = _Sheet(book.add_worksheet(name), sheet, styles, language, today)
            for row, cells in sheet.rows():
                if row > MAX_ROWS:
                    raise LedgerUnreadable("ledger.too_large")
                note = None
                if waiting is not None and (waiting.sheet, waiting.row) == (number, row):
                    note, waiting = waiting, next(notes, None)
                page.write(row, cells, note)


def _sheet_name(name: str) -> str:
    return "".join(" " if character in "[]:*?/\\'" else character for character in name)


@dataclass(frozen=True, slots=True)
class _Styles:
    fault: Style
    remark: Style
    day: Style

    def of(self, code: RowCode) -> Style:
        return self.fault if CODES[code].rejects else self.remark


class _Sheet:
    """One sheet, row by row."""

    def __init__(
        self, page: Page, sheet: Sheet, styles: _Styles, language: str, today: date
    ) -> None:
        self._page = page
        self._header = sheet.header
        self._last_header_row = sheet.header.row
        self._styles = styles
        self._language = language
        self._today = today
        # Beside the longest row, what a row came to stands in nobody's way.
        longest = max((len(cells) for _, cells in sheet.rows()), default=0)
        self._beside = min(longest, MAX_COLUMNS - len(_HEADINGS))

    def write(self, row: int, cells: Sequence[Cell], note: Note | None) -> None:
        if row > self._last_header_row:
            self._header = repeated((row, cells), self._header) or self._header
        marks = self._marks(cells, note.codes) if note else {}
        for column in range(max(min(len(cells), self._beside), max(marks, default=-1) + 1)):
            codes = marks.get(column, [])
            cell = cells[column] if column < len(cells) else None
            self._cell(row, column, cell, self._styles.of(codes[0]) if codes else None)
            if codes:
                self._page.write_comment(row - 1, column, "\n".join(map(self._sentence, codes)))
        if row == self._last_header_row:
            for n, heading in enumerate(_HEADINGS):
                self._page.write_string(row - 1, self._beside + n, self._text(heading))
        elif note:
            self._page.write_string(row - 1, self._beside, self._text(_OUTCOMES[note.outcome]))
            self._page.write_string(row - 1, self._beside + 1, "、".join(note.codes))

    def _marks(self, cells: Sequence[Cell], codes: Sequence[RowCode]) -> dict[int, list[RowCode]]:
        """The codes that stand at a column, those that reject first."""
        marks: dict[int, list[RowCode]] = {}
        for code in sorted(codes, key=lambda code: not CODES[code].rejects):
            fields = _FIELDS.get(code) or tuple(_unknown(self._header, cells, self._today))
            found = [
                column for field in fields for column in self._header.columns.get(field, ())[:1]
            ]
            for column in found or self._header.columns["name"][:1]:
                if column < self._beside:
                    marks.setdefault(column, []).append(code)
        return marks

    def _cell(self, row: int, column: int, cell: Cell, style: Style | None) -> None:
        at = (row - 1, column)
        match cell:
            case bool():
                self._page.write_boolean(*at, cell, style)
            case int() | float() if abs(cell) < _LARGEST_INTEGER:
                self._page.write_number(*at, cell, style)
            case date() if cell.year >= _FIRST_YEAR:
                self._page.write_datetime(*at, cell, style or self._styles.day)
            case None | "":
                if style is not None:
                    self._page.write_blank(*at, None, style)
            case _:
                text = cell if isinstance(cell, str) else text_of(cell)
                self._page.write_string(*at, storable(text), style)

    def _sentence(self, code: RowCode) -> str:
        meaning = CODES[code]
        return meaning.text_en if self._language == "en" else meaning.text_zh

    def _text(self, text: Text) -> str:
        return text.in_language(self._language)


# Days before it are none to a spreadsheet.
_FIRST_YEAR = 1900


def _unknown(header: Header, cells: Sequence[Cell], today: date) -> Iterator[Field]:
    """The columns whose value nobody knows, as `rows.check` finds them."""

    def said(field: Field) -> Cell:
        columns = header.columns.get(field, ())
        return cells[columns[0]] if columns and columns[0] < len(cells) else None

    for field in _CODED:
        text = text_of(said(field))
        if text and not says_nothing(text) and CODE_LISTS[field].find(text) is None:
            yield field
    for field in _DATES:
        if _is_no_date(said(field), today):
            yield field


def _is_no_date(cell: Cell, today: date) -> bool:
    if cell is None or says_nothing(text_of(cell)):
        return False
    try:
        dates.parse_written(cell, today=today)
    except DateError:
        return True
    return False
