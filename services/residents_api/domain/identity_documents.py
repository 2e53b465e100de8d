"""Identity documents other than the identity card, and what of a number may be shown.

Permits for residents of Hong Kong, Macao and Taiwan have numbers of GB 11643 under area codes of
their own. Permanent residents from abroad have, since 2023, numbers of the same length beginning
with 9; their older ones begin with three letters for their country. Birth certificates have a
letter and nine digits. What a passport's number looks like is its country's affair.
"""

import re
from datetime import date
from enum import StrEnum

from services.residents_api.domain import identity_numbers
from services.residents_api.domain.cells import compatible
from services.residents_api.domain.identity_numbers import IdentityNumberError


class DocumentKind(StrEnum):
    RESIDENT_ID_CARD = "resident_id_card"
    HMT_RESIDENCE_PERMIT = "hmt_residence_permit"
    FOREIGN_PERMANENT_RESIDENT_ID = "foreign_permanent_resident_id"
    PASSPORT = "passport"
    BIRTH_CERTIFICATE = "birth_certificate"


class DocumentStatus(StrEnum):
    VALID = "valid"
    LOST = "lost"
    REPLACED = "replaced"
    EXPIRED = "expired"


class DocumentNumberError(ValueError):
    """Not a number of that kind; `code` says why. Never holds the text that was refused."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_SEPARATORS = re.compile(r"[\s\-·.]+")
_HMT_AREAS = ("81", "82", "83")
_FOREIGN_OLD = re.compile(r"[A-Z]{3}[0-9]{12}")
_FOREIGN_NEW = re.compile(r"9[0-9]{16}[0-9X]")
_PASSPORT = re.compile(r"(?=.*[0-9])[A-Z0-9]{5,12}")
_BIRTH_CERTIFICATE = re.compile(r"[A-Z][0-9]{9}")
_WEIGHTS = [2 ** (17 - position) % 11 for position in range(17)]
_CHECK_CHARACTERS = "10X98765432"


def parse(kind: DocumentKind, text: str, *, today: date) -> str:
    """The number as it is kept. Raises DocumentNumberError."""
    if kind in (DocumentKind.RESIDENT_ID_CARD, DocumentKind.HMT_RESIDENCE_PERMIT):
        return _of_gb_11643(kind, text, today=today)
    number = _SEPARATORS.sub("", compatible(text).upper())
    if not _is_number(kind, number):
        raise DocumentNumberError("document_number.format")
    if _FOREIGN_NEW.fullmatch(number) and kind is DocumentKind.FOREIGN_PERMANENT_RESIDENT_ID:
        weighed = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
        if _CHECK_CHARACTERS[weighed % 11] != number[17]:
            raise DocumentNumberError("document_number.check_digit")
    return number


def _of_gb_11643(kind: DocumentKind, text: str, *, today: date) -> str:
    try:
        number = identity_numbers.parse(text, today=today)
    except IdentityNumberError as refused:
        raise DocumentNumberError(refused.code) from None
    is_permit = number.number.startswith(_HMT_AREAS)
    if kind is DocumentKind.HMT_RESIDENCE_PERMIT and (number.upgraded or not is_permit):
        raise DocumentNumberError("document_number.format")
    return number.number


def _is_number(kind: DocumentKind, number: str) -> bool:
    match kind:
        case DocumentKind.FOREIGN_PERMANENT_RESIDENT_ID:
            return bool(_FOREIGN_OLD.fullmatch(number) or _FOREIGN_NEW.fullmatch(number))
        case DocumentKind.PASSPORT:
            return bool(_PASSPORT.fullmatch(number))
        case _:
            return bool(_BIRTH_CERTIFICATE.fullmatch(number))


def mask(kind: str, number: str) -> str:
    """The number for people who may not see it.

    Of the long ones the first three characters and the last, of a passport or a birth certificate,
    which have half as many, the first and the last.
    """
    if kind in (DocumentKind.PASSPORT, DocumentKind.BIRTH_CERTIFICATE):
        return f"{number[0]}{'*' * (len(number) - 2)}{number[-1]}" if len(number) > 2 else "****"
    return identity_numbers.mask(number)
