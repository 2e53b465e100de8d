"""What a spreadsheet cell holds, and its text.

A cell comes from a workbook (text, number, date) or from a delimited text file (text only).
Everything that reads a cell goes through here first, so that invisible characters, numbers
that were text once and the ways of writing "nothing" are understood in one place.
"""

import re
import unicodedata
from datetime import date, datetime, time, timedelta
from math import isfinite

Cell = str | int | float | bool | date | datetime | time | timedelta | None

# Ways of writing "nothing" into a cell that a form insists on having filled. Compared after
# `folded`, so full-width forms are covered.
_NONE = (
    "/ // \\ - -- --- — —— _ __ . 。 、 * 无 暂无 没有 空 未填 "
    "n/a #n/a na nan null none nil #ref! #value! #name? #div/0!"
)
# Of these: there is something, and nobody knows what.
_UNKNOWN = "? ?? ??? 不详 不祥 未知 不明 不清 不清楚 不知道 未提供 未登记 待补 待查 待定 待核 待核实 待核查 待确认"
_UNKNOWN_WORDS = frozenset(_UNKNOWN.split())
NOTHING_WORDS = frozenset(_NONE.split()) | _UNKNOWN_WORDS
_LONGEST_NOTHING = max(map(len, NOTHING_WORDS))

_SPACES = re.compile(r"\s+")
_CARRIAGE_RETURN = re.compile(r"_x000[dD]_")


def text_of(cell: Cell) -> str:
    """The cell as a person reads it, trimmed; empty for an empty cell.

    A whole number loses its ".0" (201.0 is room "201"); controls, zero-width and
    direction marks and lone surrogates are dropped: PostgreSQL refuses some of them and
    nobody sees the others.
    """
    if isinstance(cell, str):
        # isprintable() is one pass in C and false for every character treated below.
        return cell.strip() if cell.isprintable() and "_x" not in cell else _visible(cell)
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int):
        return str(cell) if -(10**40) < cell < 10**40 else ""
    if isinstance(cell, float):
        return _number_text(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)


def folded(text: str) -> str:
    """The text for comparing: NFKC, no white space, lower case."""
    if text.isascii():
        return text.lower() if " " not in text else _SPACES.sub("", text).lower()
    return _SPACES.sub("", unicodedata.normalize("NFKC", text)).lower()


def compatible(text: str) -> str:
    """NFKC, so that full-width digits and letters become plain ones."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def says_nothing(text: str) -> bool:
    """Whether the text is empty or one of the ways of writing "nothing"."""
    if len(text) > _LONGEST_NOTHING:
        return False
    return not text or text in NOTHING_WORDS or folded(text) in NOTHING_WORDS


def says_unknown(text: str) -> bool:
    """Whether the text says that there is something, but not what: 不详, 待核."""
    return len(text) <= _LONGEST_NOTHING and folded(text) in _UNKNOWN_WORDS


def _number_text(number: float) -> str:
    if not isfinite(number):
        return ""
    # Beyond 15 significant digits a spreadsheet has already rounded: keep the exponent visible.
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


def _visible(text: str) -> str:
    kept: list[str] = []
    for character in _CARRIAGE_RETURN.sub("", text):
        category = unicodedata.category(character)
        if category == "Zs" or character in "\t\n\v\f\r\x85\u2028\u2029":
            kept.append("\n" if character == "\n" else " ")
        elif category not in ("Cc", "Cf", "Cs"):
            kept.append(character)
    return "".join(kept).strip()
