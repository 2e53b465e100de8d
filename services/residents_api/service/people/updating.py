"""Keeping people's records true."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import delete

from services.common.database import ReadSession, WriteSession
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import identity_numbers, names
from services.residents_api.domain.identity_numbers import IdentityNumber
from services.residents_api.domain.sealing import NUMBER, Sealer
from services.residents_api.models import IdentityDocument, Phone, Resident
from services.residents_api.repository import people as repository
from services.residents_api.repository import states
from services.residents_api.schemas.people import ResidentUpdate
from services.residents_api.service.people import checking

# What an update cannot empty; and, of whoever has a number, neither what follows from it.
_REQUIRED = ("name", "id_number", "population_type")


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

    Who says what is known already changes nothing, neither the version.
    Raises PreconditionFailed, RequestInvalid, NumberTaken (by constraint).
    """
    check_version(row.version, version)
    said = wanted.model_fields_set
    held, number = await _checked(session, sealer, row, wanted, today=today)
    changed = number is not None and await _replace_card(session, sealer, row, held, number)
    for name in said - {"name", "id_number", "phones"}:
        setattr(row, name, getattr(wanted, name))
    if number is not None:
        row.sex, row.birth_date = number.sex, number.birth_date
    if wanted.name is not None:
        row.name = checking.real_name(wanted.name)
        row.name_pinyin, row.name_initials = names.pinyin(row.name)
    changed = session.is_modified(row) or changed
    if "phones" in said:
        changed = await _replace_phones(session, sealer, row, wanted.phones or []) or changed
    if changed:
        await moved_on(session, row, now=now, today=today)
    return row


async def moved_on(session: WriteSession, row: Resident, *, now: datetime, today: date) -> None:
    """Give a locked row its next version, and tell the neighbours."""
    row.version += 1
    row.updated_at = now
    await session.flush()
    await states.emit_residents(session, [row.id], today=today)


async def check(
    session: ReadSession, sealer: Sealer, row: Resident, wanted: ResidentUpdate, *, today: date
) -> None:
    """Raises RequestInvalid for what an update would refuse."""
    await _checked(session, sealer, row, wanted, today=today)


async def _checked(
    session: ReadSession, sealer: Sealer, row: Resident, wanted: ResidentUpdate, *, today: date
) -> tuple[IdentityDocument | None, IdentityNumber | None]:
    """The identity card that is held, and the number that is to hold."""
    said = wanted.model_fields_set
    held, number = await _numbered(session, sealer, row, wanted, today)
    for required in _REQUIRED if number is None else (*_REQUIRED, "sex", "birth_date"):
        if required in said and getattr(wanted, required) is None:
            raise RequestInvalid.at(
                f"/{required}", "field.required", Text("此项不能清空", "This cannot be emptied")
            )
    sex = wanted.sex if "sex" in said else None
    birth_date = wanted.birth_date if "birth_date" in said else None
    checking.agree(number, sex=sex, birth_date=birth_date, today=today)
    stays = birth_date if "birth_date" in said else row.birth_date
    if number is None and stays is None:
        raise RequestInvalid.at(
            "/birth_date",
            "identity.missing",
            Text("身份证号和出生日期至少填一项", "An identity number or a birth date is needed"),
        )
    if wanted.name is not None:
        checking.real_name(wanted.name)
    checking.phone_rows(sealer, row.id, wanted.phones or [])
    return held, number


async def _numbered(
    session: ReadSession, sealer: Sealer, row: Resident, wanted: ResidentUpdate, today: date
) -> tuple[IdentityDocument | None, IdentityNumber | None]:
    held = (await repository.identity_cards(session, [row.id])).get(row.id)
    if wanted.id_number is not None:
        return held, checking.parsed(wanted.id_number, today)
    if held is None:
        return None, None
    plain = sealer.open(NUMBER, held.number, blind_index=held.blind_index)
    return held, identity_numbers.parse(plain, today=today)


async def _replace_card(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    held: IdentityDocument | None,
    number: IdentityNumber,
) -> bool:
    """Whether another number was said than is known."""
    document = checking.card(sealer, row.id, number.number)
    if held is not None and held.blind_index == document.blind_index:
        return False
    if held is not None:
        await session.delete(held)
    session.add(document)
    return True


async def _replace_phones(
    session: WriteSession, sealer: Sealer, row: Resident, texts: Sequence[str]
) -> bool:
    """Whether other phones were said than are known."""
    wanted = checking.phone_rows(sealer, row.id, texts)
    held = (await repository.phones(session, [row.id])).get(row.id, [])
    if [phone.blind_index for phone in held] == [phone.blind_index for phone in wanted]:
        return False
    await session.execute(delete(Phone).where(Phone.resident_id == row.id))
    session.add_all(wanted)
    return True
