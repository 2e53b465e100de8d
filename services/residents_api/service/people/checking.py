"""What people say of somebody, in the form in which it is kept, or refused."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import identity_numbers, names, phones
from services.residents_api.domain.identity_numbers import IdentityNumber, IdentityNumberError
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.models import IdentityDocument, Phone

_DETAILS: dict[str, Text] = {
    "id_number.length": Text("身份证号应为18位", "An identity number has 18 characters"),
    "id_number.format": Text("身份证号格式不正确", "Not the form of an identity number"),
    "id_number.birth_date": Text("身份证号中的日期不存在", "The date in the number does not exist"),
    "id_number.check_digit": Text("身份证号校验码不正确", "The check digit does not fit"),
    "id_number.precision_lost": Text("身份证号已失真", "A spreadsheet has cut the number off"),
    "birth_date.in_future": Text("出生日期晚于今天", "The birth date is in the future"),
}


def parsed(text: str, today: date) -> IdentityNumber:
    """Raises RequestInvalid."""
    try:
        return identity_numbers.parse(text, today=today)
    except IdentityNumberError as refused:
        raise RequestInvalid.at("/id_number", refused.code, _DETAILS[refused.code]) from None


def agree(
    number: IdentityNumber | None, *, sex: str | None, birth_date: date | None, today: date
) -> None:
    """What is said beside a number must be what it says. Raises RequestInvalid."""
    if birth_date is not None and birth_date > today:
        code = "birth_date.in_future"
        raise RequestInvalid.at("/birth_date", code, _DETAILS[code])
    if number is None:
        return
    if birth_date is not None and birth_date != number.birth_date:
        raise RequestInvalid.at(
            "/birth_date",
            "birth_date.conflicts_with_id",
            Text("出生日期与身份证号不一致", "The identity number says another birth date"),
        )
    if sex is not None and sex != number.sex:
        raise RequestInvalid.at(
            "/sex",
            "sex.conflicts_with_id",
            Text("性别与身份证号不一致", "The identity number says another sex"),
        )


def name_of(text: str) -> str:
    """A name, or the beginning of one. Raises RequestInvalid."""
    name = names.normalise(text)
    if not name:
        raise RequestInvalid.at("/name", "name.missing", Text("姓名为空", "The name is empty"))
    return name


def real_name(text: str) -> str:
    """Raises RequestInvalid."""
    # As in a ledger.
    name = name_of(text)
    if not names.is_name(text):
        raise RequestInvalid.at("/name", "name.missing", Text("这不是姓名", "That is no name"))
    return name


def card(sealer: Sealer, resident_id: UUID, number: str) -> IdentityDocument:
    """An identity card, to be added."""
    blind_index = sealer.blind_index(NUMBER, number)
    return IdentityDocument(
        blind_index=blind_index,
        resident_id=resident_id,
        number=sealer.seal(NUMBER, number, blind_index=blind_index),
    )


def phone_rows(sealer: Sealer, resident_id: UUID, texts: Sequence[str]) -> list[Phone]:
    """Each number once, in the order in which they are said. Raises RequestInvalid."""
    rows: dict[bytes, Phone] = {}
    for position, text in enumerate(texts):
        number = phone_of(text, pointer=f"/phones/{position}")
        blind_index = sealer.blind_index(PHONE, number)
        rows.setdefault(
            blind_index,
            Phone(
                resident_id=resident_id,
                blind_index=blind_index,
                ordinal=position,
                number=sealer.seal(PHONE, number, blind_index=blind_index),
            ),
        )
    return list(rows.values())


def phone_of(text: str, *, pointer: str) -> str:
    """One number. Raises RequestInvalid."""
    valid, invalid = phones.split(text)
    if invalid or len(valid) != 1:
        raise RequestInvalid.at(
            pointer,
            "phone.invalid",
            Text("不是有效的电话号码", "Not one valid phone number"),
        )
    return valid[0]
