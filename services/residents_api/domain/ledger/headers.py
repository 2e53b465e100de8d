"""The header of a ledger: which row it is, and which column says what.

Titles, a filling-in line and blank rows may stand above it; it may have two rows, a group name
above ("房屋信息") and the columns' names below; names carry decorations ("*姓名", "姓名（必填）").
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from services.residents_api.domain.cells import Cell, text_of
from services.residents_api.domain.ledger.header_words import (
    DWELLING_LEVELS,
    FIELD_OF_LAST_RESORT,
    FIELD_OF_WORD,
    REPEATABLE,
    Field,
)

# The header stands among the first rows; further down is data.
SEARCHED_ROWS = 30
# Longer text is a title or an instruction.
_MAX_WORD_CHARACTERS = 40

_ORNAMENTS = " \t*★☆※●■◆▲:：.、,，;；?？_-—'\"“”"
_SPACES = re.compile(r"[\s_\-—]+")
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|<[^<>]*>|〔[^〔〕]*〕")
# 家庭成员身份证号码 is this row's person, 户主身份证号码 is not.
_SUBJECT = re.compile(r"^(?:(?:家庭|住户|居民|本户)?成员|居民|本人|人员|(?:实际)?居住人员?)")
_TRAILING_NUMBER = re.compile(r"[0-9一二三①②③]+$")
# Groups of columns that speak of somebody else than the row's person.
_OTHERS = re.compile("户主|房主|业主|房东|产权人|出租人|联系人|监护人|网格员|负责人|登记人|填表人")
_PARTING = re.compile(r"[/、,，或及和+&|\\]")

_IDENTIFYING: frozenset[Field] = frozenset({"name", "id_number", "birth_date"})
_LEVELS = frozenset({*DWELLING_LEVELS, "address"})

Row = tuple[int, Sequence[Cell]]
# What one source calls its columns, by `word_of`; None for one that is to be left alone.
Words = Mapping[str, Field | None]
_NO_WORDS: Words = {}


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header is and what its columns mean.

    `row` is the last row of the header, as a person counts. `columns` are counted from 0;
    more than one only for phones and labels. `ignored` are headings nothing is read from,
    `doubled` the columns of a second person beside the first: (first, second) of one field;
    `printed` are the header's rows as they stand and `names` what may stand above the
    persons' names: by them a repetition is known. `words` are the source's own, for which it was
    looked at.
    """

    row: int
    columns: Mapping[Field, tuple[int, ...]]
    ignored: tuple[str, ...]
    doubled: tuple[tuple[int, int], ...]
    printed: tuple[tuple[str, ...], ...]
    names: frozenset[str]
    words: Words = field(default_factory=dict[str, Field | None])

    def has(self, *fields: Field) -> bool:
        """Whether any of the fields has a column."""
        return any(field in self.columns for field in fields)

    @property
    def identifies(self) -> bool:
        """Whether persons can be told apart: staff lists and notes have only names."""
        return self.has("id_number", "birth_date")


@dataclass(frozen=True, slots=True)
class _Heading:
    text: str
    field: Field | None
    last_resort: bool = False


def find(rows: Sequence[Row], words: Words = _NO_WORDS) -> Header | None:
    """The header among the first rows of a sheet; None if there is none. The source's own words for
    its columns come before those that everybody uses.

    It is the row, or pair of rows, with the most recognised names: one of them the person's
    name, and at least one more.
    """
    best: Header | None = None
    rows = rows[:SEARCHED_ROWS]
    above: list[_Heading] = []
    for number, cells in rows:
        headings = [_heading(cell, words) for cell in cells]
        alone = _header(number, headings, printed=(_texts(headings),), words=words)
        # With as many names, the pair knows more: which of two columns "姓名" is the head's.
        paired = _header(
            number,
            _combined(above, headings, cells),
            printed=(_texts(above), _texts(headings)),
            words=words,
        )
        if (
            alone
            and paired
            and (paired.columns == alone.columns or len(paired.columns) < len(alone.columns))
        ):
            paired = None
        header = paired or alone
        if header and (best is None or len(header.columns) > len(best.columns)):
            best = header
        above = headings
    return best


def repeated(row: Row, header: Header) -> Header | None:
    """The header that a later row is: a printed page's repetition, or that of another table."""
    number, cells = row
    # Called for every row of data, so first whether it can be a header at all.
    likely = any(name in cells for name in header.names)
    if not likely and (len(header.printed) == 1 or not cells):
        return None
    if not likely and text_of(cells[0]) not in {texts[0] for texts in header.printed if texts}:
        return None
    headings = [_heading(cell, header.words) for cell in cells]
    if _texts(headings) in header.printed:
        return header
    printed = (_texts(headings),)
    found = _header(number, headings, printed=printed, words=header.words) if likely else None
    return found if found and len(found.columns) >= min(3, len(header.columns)) else None


def word_of(text: str) -> str:
    """A column's name for comparing: however it is spaced and decorated."""
    word = unicodedata.normalize("NFKC", text_of(text))
    return _SPACES.sub("", word).strip(_ORNAMENTS).lower()


@lru_cache(maxsize=1 << 12)
def field_of(text: str) -> Field | None:
    """The field that a column's name means, None for an unknown one."""
    word = word_of(text)
    if not word or len(word) > _MAX_WORD_CHARACTERS:
        return None
    plain = _BRACKETED.sub("", word).strip(_ORNAMENTS)
    unnumbered = _TRAILING_NUMBER.sub("", plain).strip(_ORNAMENTS)
    for form in (word, plain, unnumbered, _SUBJECT.sub("", unnumbered)):
        if found := FIELD_OF_WORD.get(form):
            return found
    parts: list[Field | None] = [FIELD_OF_WORD.get(part) for part in _PARTING.split(plain)]
    if len(parts) == 1 or None in parts:
        return None
    # "楼栋/单元/房号" is one column with several levels, "电话/手机" says the same twice.
    if parts.count(parts[0]) == len(parts):
        return parts[0]
    return "address" if _LEVELS.issuperset(parts) else None


def _heading(cell: Cell, words: Words) -> _Heading:
    if not isinstance(cell, str) or len(cell) > 4 * _MAX_WORD_CHARACTERS:
        return _Heading("", None)
    text = text_of(cell)
    if words and (own := word_of(text)) in words:
        return _Heading(text, words[own])
    if field := field_of(text):
        return _Heading(text, field)
    plain = _BRACKETED.sub("", _SPACES.sub("", unicodedata.normalize("NFKC", text))).strip(
        _ORNAMENTS
    )
    return _Heading(text, FIELD_OF_LAST_RESORT.get(plain), last_resort=True)


def _combined(
    above: Sequence[_Heading], below: Sequence[_Heading], cells: Sequence[Cell]
) -> list[_Heading]:
    """One heading per column of a two-row header: the lower where it says something.

    Empty where the row below is no second row of a header but data.
    """
    if not any(heading.field for heading in below):
        return []
    combined: list[_Heading] = []
    group = ""
    # One text alone above a header is the ledger's title.
    grouped = sum(bool(heading.text) for heading in above) > 1
    for column in range(max(len(above), len(below))):
        upper = above[column] if column < len(above) else _Heading("", None)
        lower = below[column] if column < len(below) else _Heading("", None)
        if not lower.text and column < len(cells) and cells[column] not in (None, ""):
            return []
        if upper.field == "name" and lower.text and lower.field is None:
            return []
        # A group's merged cell has its text in the first column only.
        group = upper.text or group
        if lower.field is None:
            combined.append(upper if upper.field else _Heading(lower.text or upper.text, None))
            continue
        # Under "户主信息" stands the head's name, not this row's person.
        of_other = grouped and _OTHERS.search(group) is not None and "关系" not in group
        combined.append(_Heading(lower.text, lower.field, lower.last_resort or of_other))
    return combined


def _texts(headings: Sequence[_Heading]) -> tuple[str, ...]:
    return tuple(heading.text for heading in headings)


def _header(
    row: int,
    headings: Sequence[_Heading],
    *,
    printed: tuple[tuple[str, ...], ...],
    words: Words,
) -> Header | None:
    columns: dict[Field, tuple[int, ...]] = {}
    ignored: list[str] = []
    doubled: dict[Field, tuple[int, int]] = {}
    for wanted in (False, True):
        for column, heading in enumerate(headings):
            if heading.last_resort is not wanted or not heading.text:
                continue
            field = heading.field
            if field is None or (field in columns and (wanted or field not in REPEATABLE)):
                ignored.append(heading.text)
                if field in _IDENTIFYING and not wanted:
                    doubled.setdefault(field, (columns[field][0], column))
            else:
                columns[field] = (*columns.get(field, ()), column)
    if "name" not in columns or len(columns) < 2:
        return None
    column = columns["name"][0]
    names = frozenset(texts[column] for texts in printed if column < len(texts)) | {"姓名"}
    # Names alone speak of nobody who could be registered, and one person may have two numbers.
    beside = "name" in doubled and len(doubled) > 1
    pairs = tuple(pair for field, pair in doubled.items() if beside and field != "birth_date")
    return Header(row, columns, tuple(ignored), pairs, printed, names - {""}, words)
