"""Registering somebody, and who keeps the record."""

from datetime import date, datetime
from uuid import UUID

from services.common.areas import VILLAGE_LENGTH, Area, AreaKind
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.residents_api.domain import names
from services.residents_api.domain.sealing import Sealer
from services.residents_api.errors import DivisionEnded
from services.residents_api.models import Compound, Division, Resident
from services.residents_api.repository import states
from services.residents_api.schemas.people import ResidentCreate
from services.residents_api.service.people import checking


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
    number = checking.parsed(wanted.id_number, today) if wanted.id_number else None
    if number is None and wanted.birth_date is None:
        raise RequestInvalid.at(
            "/id_number",
            "identity.missing",
            Text("身份证号和出生日期至少填一项", "An identity number or a birth date is needed"),
        )
    checking.agree(number, sex=wanted.sex, birth_date=wanted.birth_date, today=today)
    name = checking.real_name(wanted.name)
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
        session.add(checking.card(sealer, row.id, number.number))
    session.add_all(checking.phone_rows(sealer, row.id, wanted.phones))
    await session.flush()
    await session.refresh(row)
    await states.emit_residents(session, [row.id], today=today)
    return row


async def _keeper(
    session: ReadSession, area_code: str | None, *, caller: Caller
) -> dict[str, str | UUID | None]:
    """Who keeps the record: the asked division or grid, or the caller's own area."""
    if area_code is not None:
        asked = caller.narrowed(area_code)[0].code
        if not await _still_exists(session, asked):
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
            await _still_exists(session, own.code)
            return {"area_code": own.code}
        case _:
            pass
    raise RequestInvalid.at(
        "/area_code", "area.missing", Text("请指定所属区划", "Say which division keeps this")
    )


async def _still_exists(session: ReadSession, code: str) -> bool:
    """Whether there is the division, or that of the grid; no other can succeed it until the
    transaction ends. Raises DivisionEnded if one has.
    """
    row = await session.get(Division, code[:VILLAGE_LENGTH], with_for_update={"read": True})
    if row is not None and row.valid_to is not None:
        raise DivisionEnded()
    return row is not None
