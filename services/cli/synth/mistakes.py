"""What goes wrong in a ledger kept by hand: one kind of mistake in each row that has one."""

import random
from collections.abc import Iterable, Iterator

from services.cli.synth.ledger import COLUMNS, Row

_HOME = slice(COLUMNS.index("小区"), COLUMNS.index("房号") + 1)
_RELATION = COLUMNS.index("与户主关系")
_NAME = COLUMNS.index("姓名")
_ID_NUMBER = COLUMNS.index("身份证号码")
_PHONE = COLUMNS.index("联系电话")

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def with_mistakes(rows: Iterable[Row], *, share: float, seed: int) -> Iterator[Row]:
    """`rows` with about `share` of them spoilt, and household cells as if merged.

    Rejected on import: a name missing, a wrong check digit, a number one digit short. Read all
    the same: full-width digits; a phone that is none is only left out.
    """
    draw = random.Random(f"mistakes:{seed}").random  # noqa: S311 - nothing here is secret
    for row in rows:
        cells = list(row)
        if cells[_RELATION] != "户主":
            cells[_HOME] = [""] * 4
        if draw() < share:
            _spoil(cells, draw())
        yield tuple(cells)


def _spoil(cells: list[str], chance: float) -> None:
    number = cells[_ID_NUMBER]
    if chance < 0.2:
        cells[_NAME] = ""
    elif chance < 0.4:
        cells[_ID_NUMBER] = number[:-1] + ("1" if number[-1] != "1" else "2")
    elif chance < 0.6:
        cells[_ID_NUMBER] = number[:-1]
    elif chance < 0.8:
        cells[_ID_NUMBER] = number.translate(_FULL_WIDTH)
    else:
        cells[_PHONE] = "1380013"
