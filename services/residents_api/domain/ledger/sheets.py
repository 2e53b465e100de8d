"""A sheet of a ledger whose header was found: what the readers hand on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.ledger.headers import Header, Row

# (row, column) of a merged range's first cell to its last row; rows from 1, columns from 0.
Merges = dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet, or a delimited text file, which has one sheet without a name.

    `rows` reads it from the top, title and header included, each row with its number as a
    spreadsheet shows it: a record of a text file is one row, however many lines its cells have.
    It can be called again. `merges` are the ranges of more than one row.
    """

    name: str
    header: Header
    rows: Callable[[], Iterator[Row]] = field(repr=False)
    merges: Merges = field(default_factory=dict[tuple[int, int], int], repr=False)


def is_blank(cells: Sequence[Cell]) -> bool:
    """Whether a row holds nothing at all."""
    return not any(cell is not None and cell != "" for cell in cells)
