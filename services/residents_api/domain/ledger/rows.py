"""What one record of a ledger says, checked: the values that can be kept, and the row's codes.

Pure and picklable, for worker processes. What the register knows already (duplicates,
residents elsewhere, other names) is decided later.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import get_args

from services.residents_api.domain import dates, dwellings, identity_numbers, names, phones
from services.residents_api.domain.cells import (
    Cell,
    compatible,
    says_nothing,
    text_of,
)
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.codes import CODES, REJECTING, RowCode
from services.residents_api.domain.dates import DateError, WrittenDate
from services.residents_api.domain.dwellings import Dwelling
from services.residents_api.domain.identity_numbers import IdentityNumber, IdentityNumberError
from services.residents_api.domain.ledger.header_words import Field
from services.residents_api.domain.ledger.records import Record

# Longer text is no name.
MAX_NAME_CHARACTERS = 100
MAX_LABEL_CHARACTERS = 20
MAX_LABELS = 50
# Nobody alive was born earlier.
EARLIEST_BIRTH = date(1900, 1, 1)

_NUMBER_CODES: frozenset[RowCode] = frozenset(get_args(identity_numbers.IdentityNumberCode))
_NOWHERE = Dwelling(None, None, None, None)
_LABEL_PARTING = re.compile(r"[、，,;；/|\s]+")
_NUMBER_IN_LABEL = re.compile(r"[0-9]{6}")
_DIGIT = re.compile(r"[0-9]")
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True, repr=False)
class LedgerRow:
    """A person in a dwelling, as one row says it; None where the row says nothing.

    `codes` are in the order of the table of codes, without repeats. A rejected row still has
    what could be read of it. `phones` are E.164; `phone_invalid` is masked text.
    """

    sheet: str
    row: int
    codes: tuple[RowCode, ...]
    rejected: bool
    name: str | None
    sex: str | None
    birth_date: date | None
    id_number: str | None
    phones: tuple[str, ...]
    phone_invalid: str | None
    compound: str | None
    building: str | None
    unit: str | None
    room: str | None
    grid: str | None
    village: str | None
    relation_to_head: str | None
    tenure: str | None
    start_date: date | None
    population_type: str | None
    ethnicity: str | None
    education: str | None
    marital_status: str | None
    political_status: str | None
    occupation: str | None
    employer: str | None
    registered_address: str | None
    labels: tuple[str, ...]
    note: str | None

    def __repr__(self) -> str:
        return f"LedgerRow(sheet={self.sheet!r}, row={self.row}, codes={self.codes})"

    @property
    def dwelling(self) -> Dwelling:
        """The row's dwelling in normal form."""
        return Dwelling(self.compound, self.building, self.unit, self.room)


def check(record: Record, *, today: date) -> LedgerRow:
    """Read one record. `today` is the civil day in Asia/Shanghai."""
    cells = record.cells
    codes: set[RowCode] = set()
    name = _name(cells.get("name"), codes)
    number = _number(cells.get("id_number"), codes, today=today)
    # A wrong number is an identity that somebody must correct, not a missing one.
    wrong_number = bool(codes & _NUMBER_CODES)
    birth_date = _birth_date(cells.get("birth_date"), number, codes, today=today)
    if birth_date is not None and birth_date < EARLIEST_BIRTH:
        codes.add("birth_date.implausible")
    if birth_date is None and not wrong_number:
        codes.add("identity.missing")
    sex = _sex(cells, number, codes)
    dwelling = dwellings.locate(record.place) if record.place else None
    if dwelling is None:
        codes.add("dwelling.missing")
        dwelling = _NOWHERE
    numbers, invalid = phones.split(cells.get("phones"))
    if invalid:
        codes.add("phone.invalid")
    start_date = _date(cells.get("start_date"), codes, today=today)
    if start_date and start_date.day > today:
        codes.add("start_date.in_future")
    labels = _labels(cells.get("labels"), codes)
    relation_to_head = _coded("relation_to_head", cells, codes)
    tenure = _coded("tenure", cells, codes)
    population_type = _coded("population_type", cells, codes)
    ethnicity = _coded("ethnicity", cells, codes)
    education = _coded("education", cells, codes)
    marital_status = _coded("marital_status", cells, codes)
    political_status = _coded("political_status", cells, codes)
    return LedgerRow(
        sheet=record.sheet,
        row=record.row,
        codes=_ordered(frozenset(codes)) if codes else (),
        rejected=not REJECTING.isdisjoint(codes),
        name=name,
        sex=sex,
        birth_date=birth_date,
        id_number=number.number if number else None,
        phones=tuple(numbers),
        phone_invalid="、".join(map(phones.mask_text, invalid)) if invalid else None,
        compound=dwelling.compound,
        building=dwelling.building,
        unit=dwelling.unit,
        room=dwelling.room,
        grid=_text(cells.get("grid")),
        village=_text(cells.get("village")),
        relation_to_head=relation_to_head,
        tenure=tenure,
        start_date=start_date.day if start_date else None,
        population_type=population_type,
        ethnicity=ethnicity,
        education=education,
        marital_status=marital_status,
        political_status=political_status,
        occupation=_text(cells.get("occupation")),
        employer=_text(cells.get("employer")),
        registered_address=_text(cells.get("registered_address")),
        labels=labels,
        note=_text(cells.get("note")),
    )


def _name(cell: Cell, codes: set[RowCode]) -> str | None:
    # As it was written: text_of() has dropped what reverses a text.
    written = cell if isinstance(cell, str) else text_of(cell)
    name = names.normalise(text_of(cell))
    if len(name) <= MAX_NAME_CHARACTERS and names.is_name(written):
        return name
    codes.add("name.missing")
    return None


def _number(cell: Cell, codes: set[RowCode], *, today: date) -> IdentityNumber | None:
    if cell is None or says_nothing(text_of(cell)):
        return None
    try:
        number = identity_numbers.parse(cell, today=today)
    except IdentityNumberError as error:
        text = compatible(text_of(cell))
        # 办理中, 新生儿未上户: a remark about a number that does not exist.
        remark = not _DIGIT.search(text) and _HAN.search(text)
        codes.add("value.unknown_code" if remark else error.code)
        return None
    if number.upgraded:
        codes.add("id_number.upgraded_15")
    return number


def _birth_date(
    cell: Cell, number: IdentityNumber | None, codes: set[RowCode], *, today: date
) -> date | None:
    written = _date(cell, codes, today=today)
    if number:
        if written and not written.agrees_with(number.birth_date):
            codes.add("birth_date.conflicts_with_id")
        return number.birth_date
    if written and written.day > today:
        codes.add("birth_date.in_future")
    return written.day if written else None


def _sex(
    cells: Mapping[Field, Cell], number: IdentityNumber | None, codes: set[RowCode]
) -> str | None:
    said = _coded("sex", cells, codes)
    if number is None:
        return said
    if said in ("male", "female") and said != number.sex:
        codes.add("sex.conflicts_with_id")
    return number.sex


def _date(cell: Cell, codes: set[RowCode], *, today: date) -> WrittenDate | None:
    if cell is None or (isinstance(cell, str) and says_nothing(cell)):
        return None
    try:
        return dates.parse_written(cell, today=today)
    except DateError:
        codes.add("value.unknown_code")
        return None


def _coded(field: Field, cells: Mapping[Field, Cell], codes: set[RowCode]) -> str | None:
    cell = cells.get(field)
    if cell is None:
        return None
    code_list = CODE_LISTS[field]
    # Nearly every cell holds a word of the list as it stands.
    if isinstance(cell, str) and (code := code_list.words.get(cell)):
        return code
    text = text_of(cell)
    code = code_list.find(text)
    if code is None and not says_nothing(text):
        codes.add("value.unknown_code")
    return code


def _labels(cell: Cell, codes: set[RowCode]) -> tuple[str, ...]:
    if cell is None:
        return ()
    text = text_of(cell)
    if len(text) > MAX_LABELS * MAX_LABEL_CHARACTERS:
        codes.add("value.unknown_code")
        return ()
    labels, complete = _labels_in(text)
    if not complete:
        codes.add("value.unknown_code")
    return labels


@lru_cache(maxsize=1 << 12)
def _labels_in(text: str) -> tuple[tuple[str, ...], bool]:
    """The distinct labels of a cell in order, and whether all of them could be kept.

    Long texts and numbers are remarks or phones in the wrong column, and a label is public
    to more people than they are.
    """
    said = [label for label in _LABEL_PARTING.split(compatible(text)) if not says_nothing(label)]
    kept = [
        label
        for label in dict.fromkeys(said)
        if len(label) <= MAX_LABEL_CHARACTERS and not _NUMBER_IN_LABEL.search(label)
    ]
    return tuple(kept[:MAX_LABELS]), len(kept) == len(set(said)) <= MAX_LABELS


def _text(cell: Cell) -> str | None:
    if cell is None:
        return None
    text = text_of(cell)
    return None if says_nothing(text) else text


@lru_cache(maxsize=1 << 10)
def _ordered(codes: frozenset[RowCode]) -> tuple[RowCode, ...]:
    return tuple(code for code in CODES if code in codes)
