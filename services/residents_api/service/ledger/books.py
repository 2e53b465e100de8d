"""Workbooks as they are written: row by row, and no text is ever taken for a formula."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Protocol, cast

import xlsxwriter  # pyright: ignore[reportMissingTypeStubs] - it has none

# What XLSX has room for.
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
_MAX_CHARACTERS = 32_767


class Style(Protocol):
    """How a cell looks."""

    def set_bg_color(self, bg_color: str) -> None: ...


class Page(Protocol):
    """A sheet, written from the top. Rows and columns from 0."""

    def write_string(self, row: int, col: int, string: str, /, cell_format: Any = None) -> int: ...
    def write_number(
        self, row: int, col: int, number: float, /, cell_format: Any = None
    ) -> int: ...
    def write_boolean(
        self, row: int, col: int, boolean: bool, /, cell_format: Any = None
    ) -> int: ...
    def write_datetime(self, row: int, col: int, date: date, /, cell_format: Any = None) -> int: ...
    def write_blank(self, row: int, col: int, blank: None, /, cell_format: Any = None) -> int: ...
    def write_comment(self, row: int, col: int, comment: str, /) -> int: ...


class Book(Protocol):
    def add_worksheet(self, name: str | None = None) -> Page: ...
    def add_format(self, properties: dict[str, str]) -> Style: ...
    def set_properties(self, properties: dict[str, str]) -> None: ...


@contextmanager
def written(target: Path, *, place: Path) -> Generator[Book]:
    """A workbook at `target`, whose rows wait in the directory `place`, in plain."""
    options: dict[str, Any] = {
        "constant_memory": True,
        "tmpdir": str(place),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(target), options) as book:
        yield cast("Book", book)


def storable(text: str) -> str:
    """What of a text a cell can hold."""
    return text.encode("utf-8", "replace").decode()[:_MAX_CHARACTERS]
