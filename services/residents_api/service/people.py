"""Registering people, keeping them true, and showing them: masked, or plain with a reason."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.common.areas import VILLAGE_LENGTH, Area, AreaKind
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.common.telemetry import request_id
from services.residents_api.domain import identity_numbers, names, phones
from services.residents_api.domain.cells import says_nothing
from services.residents_api.domain.identity_numbers import IdentityNumber, IdentityNumberError
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.models import (
    AccessRecord,
    Compound,
    Division,
    IdentityDocument,
    Phone,
    Resident,
)
from services.residents_api.repository import people as repository
from services.residents_api.repository import states
from services.residents_api.schemas.people import (
    ResidentCreate,
    ResidentRead,
    ResidentRevealed,
    ResidentUpdate,
    RevealedField,
)

_DETAILS: dict[str, Text] = {
    "id_number.length": Text("身份证号应为18位", "An identity number has 18 characters"),
    "id_number.format": Text("身份证号格式不正确", "Not the form of an identity number"),
    "id_number.birth_date": Text("身份证号中的日期不存在", "The date in the number does not exist"),
    "id_number.check_digit": Text("身份证号校验码不正确", "The check digit does not fit"),
    "id_number.precision_lost": Text("身份证号已失真", "A spreadsheet has cut the number off"),
    "birth_date.in_future": Text("出生日期晚于今天", "The birth date is in the future"),
}


# What an update cannot empty; and, of whoever has a number, neither what follows from it.
_REQUIRED = ("name", "id_number", "population_type")


async def register(
    session: WriteSession,
    sealer: Sealer,
    wanted: ResidentCreate,
    *,
    caller: Caller,
    now: datetime,
    today: date,
) -> Resident:
    """Register a person. Raises RequestInvalid, AreaForbidden, NumberTaken (by constraint)."""
    number = _number(wanted.id_number, today) if wanted.id_number else None
    if number is None and wanted.birth_date is None:
        raise RequestInvalid.at(
            "/id_number",
            "identity.missing",
            Text("身份证号和出生日期至少填一项", "An identity number or a birth date is needed"),
        )
    _agree(number, sex=wanted.sex, birth_date=wanted.birth_date, today=today)
    name = _real_name(wanted.name)
    pinyin, initials = names.pinyin(name)
    values = wanted.model_dump(exclude={"id_number", "phones", "name", "area_code"})
    row = Resident(
        **values
        | {
            "id": new_id(),
            "name": name,
            "name_pinyin": pinyin,
            "name_initials": initials,
            "created_at": now,
            "updated_at": now,
        }
        | await _keeper(session, wanted.area_code, caller=caller)
    )
    if number is not None:
        row.sex, row.birth_date = number.sex, number.birth_date
    session.add(row)
    if number is not None:
        session.add(_document(sealer, row.id, number.number))
    session.add_all(_phones(sealer, row.id, wanted.phones))
    await session.flush()
    await session.refresh(row)
    await states.emit_residents(session, [row.id], today=today)
    return row


async def update(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    wanted: ResidentUpdate,
    *,
    version: int,
    now: datetime,
    today: date,
) -> Resident:
    """Apply the fields that are present to a row that the caller has locked.

    Raises PreconditionFailed, RequestInvalid, NumberTaken (by constraint).
    """
    check_version(row.version, version)
    said = wanted.model_fields_set
    number = await _numbered(session, sealer, row, wanted, today)
    for required in _REQUIRED if number is None else (*_REQUIRED, "sex", "birth_date"):
        if required in said and getattr(wanted, required) is None:
            raise RequestInvalid.at(
                f"/{required}", "field.required", Text("此项不能清空", "This cannot be emptied")
            )
    sex = wanted.sex if "sex" in said else None
    birth_date = wanted.birth_date if "birth_date" in said else None
    _agree(number, sex=sex, birth_date=birth_date, today=today)
    for name in said - {"name", "id_number", "phones"}:
        setattr(row, name, getattr(wanted, name))
    if number is not None:
        row.sex, row.birth_date = number.sex, number.birth_date
    elif row.birth_date is None:
        raise RequestInvalid.at(
            "/birth_date",
            "identity.missing",
            Text("身份证号和出生日期至少填一项", "An identity number or a birth date is needed"),
        )
    if wanted.name is not None:
        row.name = _real_name(wanted.name)
        row.name_pinyin, row.name_initials = names.pinyin(row.name)
    if "phones" in said:
        await session.execute(delete(Phone).where(Phone.resident_id == row.id))
        session.add_all(_phones(sealer, row.id, wanted.phones or []))
    row.version += 1
    row.updated_at = now
    await session.flush()
    await states.emit_residents(session, [row.id], today=today)
    return row


async def _numbered(
    session: WriteSession, sealer: Sealer, row: Resident, wanted: ResidentUpdate, today: date
) -> IdentityNumber | None:
    """The number that holds after the update, replaced if a new one is given."""
    held = (await repository.documents(session, [row.id])).get(row.id)
    if wanted.id_number is None:
        if held is None:
            return None
        plain = sealer.open(NUMBER, held.number, blind_index=held.blind_index)
        return identity_numbers.parse(plain, today=today)
    number = _number(wanted.id_number, today)
    document = _document(sealer, row.id, number.number)
    if held is None or held.blind_index != document.blind_index:
        if held is not None:
            await session.delete(held)
        session.add(document)
    return number


def _number(text: str, today: date) -> IdentityNumber:
    try:
        return identity_numbers.parse(text, today=today)
    except IdentityNumberError as refused:
        raise RequestInvalid.at("/id_number", refused.code, _DETAILS[refused.code]) from None


def _agree(
    number: IdentityNumber | None, *, sex: str | None, birth_date: date | None, today: date
) -> None:
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


def _name(text: str) -> str:
    name = names.normalise(text)
    if not name:
        raise RequestInvalid.at("/name", "name.missing", Text("姓名为空", "The name is empty"))
    return name


def _real_name(text: str) -> str:
    # As in a ledger: digits, marks and ways of writing "none" are nobody's name.
    name = _name(text)
    if says_nothing(name) or not any(map(str.isalpha, name)):
        raise RequestInvalid.at("/name", "name.missing", Text("这不是姓名", "That is no name"))
    return name


def _document(sealer: Sealer, resident_id: UUID, number: str) -> IdentityDocument:
    blind_index = sealer.blind_index(NUMBER, number)
    return IdentityDocument(
        blind_index=blind_index,
        resident_id=resident_id,
        number=sealer.seal(NUMBER, number, blind_index=blind_index),
    )


def _phones(sealer: Sealer, resident_id: UUID, texts: Sequence[str]) -> list[Phone]:
    rows: dict[bytes, Phone] = {}
    for position, text in enumerate(texts):
        number = _phone(text, pointer=f"/phones/{position}")
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


def _phone(text: str, *, pointer: str) -> str:
    valid, invalid = phones.split(text)
    if invalid or len(valid) != 1:
        raise RequestInvalid.at(
            pointer,
            "phone.invalid",
            Text("不是有效的电话号码", "Not one valid phone number"),
        )
    return valid[0]


async def _keeper(
    session: ReadSession, area_code: str | None, *, caller: Caller
) -> dict[str, str | UUID | None]:
    """Who keeps the record: the asked division or grid, or the caller's own area."""
    if area_code is not None:
        asked = caller.narrowed(area_code)[0].code
        if await session.get(Division, asked[:VILLAGE_LENGTH]) is None:
            # Whoever is kept by a division that does not exist is found by nobody below it.
            raise RequestInvalid.at(
                "/area_code", "division.unknown", Text("没有这个区划", "No such division")
            )
        return {"area_code": asked}
    match caller.areas:
        case [Area(AreaKind.COMPOUND, code), *_]:
            compound = await session.get(Compound, UUID(code))
            if compound is not None:
                return {"area_code": compound.village_code, "keeper_compound_id": compound.id}
        case [own, *_]:
            return {"area_code": own.code}
        case _:
            pass
    raise RequestInvalid.at(
        "/area_code", "area.missing", Text("请指定所属区划", "Say which division keeps this")
    )


async def masked(
    session: ReadSession, sealer: Sealer, rows: Sequence[Resident]
) -> list[ResidentRead]:
    """Rows as they may be shown to anyone who may read them: two queries more, however many."""
    ids = [row.id for row in rows]
    documents = await repository.documents(session, ids) if ids else {}
    numbers = await repository.phones(session, ids) if ids else {}
    return [
        ResidentRead.model_validate(
            {column: getattr(row, column) for column in _SHOWN}
            | {
                "name": names.mask(row.name),
                "id_number": _masked_number(sealer, documents.get(row.id)),
                "phones": [phones.mask(_plain(sealer, p)) for p in numbers.get(row.id, ())],
            }
        )
        for row in rows
    ]


_SHOWN = tuple(ResidentRead.model_fields.keys() - {"name", "id_number", "phones"})


def _masked_number(sealer: Sealer, document: IdentityDocument | None) -> str | None:
    if document is None:
        return None
    plain = sealer.open(NUMBER, document.number, blind_index=document.blind_index)
    return identity_numbers.mask(plain)


def _plain(sealer: Sealer, phone: Phone) -> str:
    return sealer.open(PHONE, phone.number, blind_index=phone.blind_index)


async def reveal(
    session: WriteSession, sealer: Sealer, row: Resident, fields: Sequence[RevealedField]
) -> ResidentRevealed:
    """The plain values asked for. The caller has written the audit row in the same transaction."""
    values: dict[str, Any] = dict.fromkeys(ResidentRevealed.model_fields) | {"id": row.id}
    for field in fields:
        match field:
            case RevealedField.ID_NUMBER:
                held = (await repository.documents(session, [row.id])).get(row.id)
                if held is not None:
                    values["id_number"] = sealer.open(
                        NUMBER, held.number, blind_index=held.blind_index
                    )
            case RevealedField.PHONES:
                held_phones = (await repository.phones(session, [row.id])).get(row.id, [])
                values["phones"] = [_plain(sealer, phone) for phone in held_phones]
            case _:
                values[field.value] = getattr(row, field.value)
    return ResidentRevealed.model_validate(values)


async def record_access(
    session: WriteSession,
    *,
    resident_ids: Sequence[UUID],
    caller: Caller,
    act: str,
    purpose: str,
    fields: Sequence[str],
    outcome: str,
    now: datetime,
) -> None:
    """Keep who read whom, or tried to."""
    if not resident_ids:
        return
    await session.execute(
        insert(AccessRecord),
        [
            {
                "resident_id": resident_id,
                "id": new_id(),
                "at": now,
                "actor": caller.sub,
                "act": act,
                "purpose": purpose,
                "fields": list(fields),
                "outcome": outcome,
                "request_id": request_id(),
            }
            for resident_id in resident_ids
        ],
    )


def wanted(
    sealer: Sealer,
    *,
    name: str | None,
    pinyin: str | None,
    id_number: str | None,
    phone: str | None,
    today: date,
) -> repository.Wanted:
    """Search terms in the form in which they are stored. Raises RequestInvalid."""
    if not any((name, pinyin, id_number, phone)):
        raise RequestInvalid.at(
            "", "search.empty", Text("请至少给出一个查询条件", "Say at least one thing to look for")
        )
    number = _number(id_number, today).number if id_number else None
    return repository.Wanted(
        name=_name(name) if name else None,
        pinyin=pinyin,
        number_index=sealer.blind_index(NUMBER, number) if number else None,
        phone_index=(sealer.blind_index(PHONE, _phone(phone, pointer="/phone")) if phone else None),
    )
