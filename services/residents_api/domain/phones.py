"""Phone numbers: out of a cell that may hold several, into E.164, and masked."""

import re
from collections.abc import Iterator

from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    format_number,
    is_valid_number,
    parse,
)

from services.residents_api.domain.cells import Cell, compatible, says_nothing, text_of

# A cell longer than this holds something else than phones.
MAX_CELL_CHARACTERS = 200

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
# Everything else than what may stand inside a number parts numbers: 、 / ; 或 (妻) and so on.
_PARTING = re.compile(r"[^0-9+\-–—−‐().*#\s]+|\n")
_INSIDE = re.compile(r"[\s\-–—−‐().]+")
_TWO_MOBILES = re.compile(r"(1[3-9][0-9]{9})(1[3-9][0-9]{9})")
_EXTENSION = re.compile(r"(\(?0[0-9]{2,3}\)?[\s\-]*[0-9]{7,8})\s*[-–—转#]\s*[0-9]{1,5}")
_EXTENSION_WORD = re.compile(
    r"(?<=[0-9])\s*(?:转|分机号?|ext\.?)\s*(?=[0-9]{1,5}(?![0-9]))", re.IGNORECASE
)
_DIGITS = re.compile(r"[0-9]+")
# What a person in China can be called at: a mobile, or a landline with its area code. Numbers
# of firms (400, 800, 95xxx) and landlines without area code are not kept: nothing in a ledger
# says which area code is meant, people keep the numbers of where they come from, and eight digits
# are as often what is left of a mobile number. The row says so, and the worker adds 028.
_CALLABLE = re.compile(
    r"(?:\+?86|0086)?(?:0?1[3-9][0-9]{9}|0?(?:10|2[0-9])[2-8][0-9]{7}|0?(?!400|800)[3-9][0-9]{2}[2-8][0-9]{6,7})"
)
# The longest number written with spaces: +86 028 8370 1234.
_MOST_GROUPS = 5


def split(text: Cell) -> tuple[list[str], list[str]]:
    """The numbers of a cell as (valid, invalid): E.164 in order without repeats, and raw text.

    >>> split("028-83701234、13812345678/1380013")
    (['+862883701234', '+8613812345678'], ['1380013'])
    """
    raw = compatible(text_of(text))
    if _MOBILE.fullmatch(raw):
        return ["+86" + raw], []
    if says_nothing(raw):
        return [], []
    if len(raw) > MAX_CELL_CHARACTERS or not _DIGITS.search(raw):
        return [], [raw[:MAX_CELL_CHARACTERS]]
    valid: list[str] = []
    invalid: list[str] = []
    for chunk in _PARTING.split(_EXTENSION_WORD.sub("-", raw)):
        for number, piece in _numbers(chunk.strip()):
            if number and number not in valid:
                valid.append(number)
            elif not number:
                invalid.append(piece)
    if valid:
        # "1、138…" or "妻2:139…" number the numbers.
        invalid = [piece for piece in invalid if len(piece) > 1]
    return valid, invalid


def mask(phone: str) -> str:
    """An E.164 number for people who may not see it: 138****5678, 028****1234."""
    national = phone.removeprefix("+86")
    if _MOBILE.fullmatch(national):
        return f"{national[:3]}****{national[7:]}"
    shown = national if national.startswith("+") else "0" + national
    if len(shown) < 9:
        return mask_text(shown)
    return f"{shown[:-8]}****{shown[-4:]}"


def mask_text(text: str) -> str:
    """Text that is no phone number, hidden: letters and digits as *, at most 40 characters."""
    return "".join("*" if character.isalnum() else character for character in text[:40])


def _numbers(chunk: str) -> Iterator[tuple[str | None, str]]:
    """The numbers of a chunk without separators such as 、 or /: (E.164 or None, its text)."""
    if not _DIGITS.search(chunk):
        return
    if number := _valid(chunk):
        yield number, chunk
        return
    groups = [group for group in _INSIDE.split(chunk) if group]
    start = 0
    unread: list[str] = []
    while start < len(groups):
        for end in range(min(len(groups), start + _MOST_GROUPS), start, -1):
            piece = "".join(groups[start:end])
            if two := _TWO_MOBILES.fullmatch(piece):
                numbers = ["+86" + two[1], "+86" + two[2]]
            else:
                number = _valid(piece)
                numbers = [number] if number else []
            if numbers:
                if unread:
                    yield None, " ".join(unread)
                    unread = []
                for number in numbers:
                    yield number, piece
                start = end
                break
        else:
            unread.append(groups[start])
            start += 1
    if unread:
        yield None, " ".join(unread)


def _valid(text: str) -> str | None:
    if extended := _EXTENSION.fullmatch(text):
        text = extended[1]
    digits = _INSIDE.sub("", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if _MOBILE.fullmatch(national := digits.removeprefix("+").removeprefix("86").removeprefix("0")):
        return "+86" + national
    if not digits.startswith("+") or digits.startswith("+86"):
        if not _CALLABLE.fullmatch(digits):
            return None
        digits = digits.removeprefix("+86")
    try:
        number = parse(digits, "CN")
    except NumberParseException:
        return None
    return format_number(number, PhoneNumberFormat.E164) if is_valid_number(number) else None
