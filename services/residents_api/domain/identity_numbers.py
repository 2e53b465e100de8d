"""Citizen identity numbers, GB 11643: 17 digits and a check character (ISO 7064 MOD 11-2).

An area code that no place has (any more) is no error: divisions are abolished, people keep
their numbers. Numbers of the first generation, 15 digits without century and check character,
are upgraded; all their holders were born in the 1900s.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from stdnum.cn import ric

from services.residents_api.domain.cells import Cell, compatible, text_of

IdentityNumberCode = Literal[
    "id_number.precision_lost",
    "id_number.length",
    "id_number.format",
    "id_number.birth_date",
    "id_number.check_digit",
    "birth_date.in_future",
]

EARLIEST_YEAR = 1850

_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_DIGITS = re.compile(r"[0-9]+")
_SEPARATORS = re.compile(r"[\s'\"`´‘’“”′.·_\-‐-―−]+")
_EXPONENT = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+?[0-9]{1,3}")
_DECIMAL = re.compile(r"([0-9]{15,18})\.0+")
_LABEL = re.compile(r"(?:居民|公民)?身份(?:证|证件)?(?:号码?)?[:：]\s*")
_HAN_OR_BRACKET = re.compile(r"[\u3400-\u9fff()\[\]]")
_FEWEST_DIGITS = 15


class IdentityNumberError(ValueError):
    """Not an identity number; `code` says why. Never holds the text that was refused."""

    def __init__(self, code: IdentityNumberCode) -> None:
        super().__init__(code)
        self.code: IdentityNumberCode = code


@dataclass(frozen=True, slots=True)
class IdentityNumber:
    """A number that passed every check: 18 characters, and what it says of its holder."""

    number: str = field(repr=False)
    birth_date: date = field(repr=False)
    sex: Literal["male", "female"]
    upgraded: bool


def parse(text: Cell, *, today: date) -> IdentityNumber:
    """Read a number as people write it: spaces, full-width digits, a leading apostrophe, a small x,
    the column's name before it (身份证:).

    Raises IdentityNumberError with the first that applies of precision_lost, length, format,
    birth_date, birth_date.in_future, check_digit. In that order a worker sees the coarsest
    mistake: a wrong day nearly always spoils the check character too.
    """
    number = _characters(text)
    # A number with a remark (519…（无效）) has something in it that is no digit, not too many.
    if _HAN_OR_BRACKET.search(number) and sum(map(str.isdecimal, number)) >= _FEWEST_DIGITS:
        raise IdentityNumberError("id_number.format")
    if len(number) not in (15, 18):
        raise IdentityNumberError("id_number.length")
    upgraded = len(number) == 15
    if upgraded:
        if not _DIGITS.fullmatch(number):
            raise IdentityNumberError("id_number.format")
        number = f"{number[:6]}19{number[6:]}0"
    elif not _SHAPE.fullmatch(number):
        raise IdentityNumberError("id_number.format")
    birth_date = _birth_date(number, today=today)
    # The last of 18 characters is a placeholder to calc_check_digit.
    check = ric.calc_check_digit(number)
    if upgraded:
        number = number[:17] + check
    elif number[17] != check:
        raise IdentityNumberError("id_number.check_digit")
    return IdentityNumber(
        number=number,
        birth_date=birth_date,
        sex="male" if number[16] in "13579" else "female",
        upgraded=upgraded,
    )


def make(area_code: str, birth_date: date, sequence: int) -> str:
    """The number of the `sequence`-th (0 to 999; odd is male) person of that place and day."""
    if not re.fullmatch(r"[0-9]{6}", area_code) or not 0 <= sequence <= 999:
        raise ValueError("an area code has 6 digits, a sequence number at most 3")
    number = f"{area_code}{birth_date:%Y%m%d}{sequence:03d}"
    return number + ric.calc_check_digit(number + "0")


def mask(number: str) -> str:
    """The number for people who may not see it: the first three characters and the last.

    The usual form (six and four left open) hides only the birth date. Masked answers show
    birth date and sex beside it, so that form would give the whole number away.
    """
    return f"{number[:3]}{'*' * (len(number) - 4)}{number[-1]}" if len(number) > 4 else "****"


def _characters(cell: Cell) -> str:
    if isinstance(cell, str) and _SHAPE.fullmatch(cell):
        return cell
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        # A spreadsheet's number has 15 significant digits. 15-digit numbers survive as
        # numbers; 18-digit ones end in zeros that were never theirs.
        if abs(cell) >= 1e15:
            raise IdentityNumberError("id_number.precision_lost")
        if isinstance(cell, float) and not cell.is_integer():
            raise IdentityNumberError("id_number.format")
    text = compatible(text_of(cell)).upper().strip(" '\"`´‘’“”′")
    if _EXPONENT.fullmatch(text.replace(" ", "")):
        raise IdentityNumberError("id_number.precision_lost")
    if decimal := _DECIMAL.fullmatch(text):
        # Some programs write every number with a decimal point; 18 digits did not survive that.
        if len(decimal[1]) > 15:
            raise IdentityNumberError("id_number.precision_lost")
        return decimal[1]
    return _SEPARATORS.sub("", _LABEL.sub("", text, count=1) if ":" in text else text)


def _birth_date(number: str, *, today: date) -> date:
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    try:
        birth_date = date(year, month, day)
    except ValueError:
        raise IdentityNumberError("id_number.birth_date") from None
    if year < EARLIEST_YEAR:
        raise IdentityNumberError("id_number.birth_date")
    if birth_date > today:
        raise IdentityNumberError("birth_date.in_future")
    return birth_date
