"""Who answers for minors: residents, or people of whom a name and a phone are kept, sealed."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import ages, names, phones
from services.residents_api.domain.sealing import GUARDIAN_CONTACT, Sealer
from services.residents_api.errors import GuardianNotFound, GuardiansFull, NotAMinor
from services.residents_api.models import Guardian, Resident
from services.residents_api.repository import people as repository
from services.residents_api.schemas.guardians import GuardianCreate, GuardianRead
from services.residents_api.schemas.people import ResidentState
from services.residents_api.service.people import checking, updating

MOST = 5


async def create(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    wanted: GuardianCreate,
    *,
    within: Sequence[Area],
    now: datetime,
    today: date,
) -> Guardian:
    """Name a guardian of a resident whom the caller has locked.

    Raises RequestInvalid, NotAMinor, GuardiansFull, GuardianTaken (by constraint).
    """
    if not ages.is_minor(row.birth_date, on=today):
        raise NotAMinor()
    if len(await _held(session, row)) >= MOST:
        raise GuardiansFull()
    guardian = Guardian(
        resident_id=row.id, id=new_id(), relation=wanted.relation, guardian_id=None, contact=None
    )
    if wanted.resident_id is not None and wanted.name is None and wanted.phone is None:
        await _check_guardian(session, row, wanted.resident_id, within=within, today=today)
        guardian.guardian_id = wanted.resident_id
    elif wanted.resident_id is None and wanted.name is not None and wanted.phone is not None:
        contact = {
            "name": checking.real_name(wanted.name),
            "phone": checking.phone_of(wanted.phone, pointer="/phone"),
        }
        text = json.dumps(contact, ensure_ascii=False)
        guardian.contact = sealer.seal(GUARDIAN_CONTACT, text, blind_index=guardian.id.bytes)
    else:
        raise RequestInvalid.at(
            "",
            "guardian.unclear",
            Text("请填写一位居民，或姓名和电话", "A resident, or a name and a phone, is expected"),
        )
    session.add(guardian)
    await updating.moved_on(session, row, now=now, today=today)
    return guardian


async def _check_guardian(
    session: ReadSession,
    row: Resident,
    guardian_id: UUID,
    *,
    within: Sequence[Area],
    today: date,
) -> None:
    found = await repository.resident(session, guardian_id, within=within, on=today)
    if found is None or found.state != ResidentState.ACTIVE:
        raise RequestInvalid.at(
            "/resident_id", "resident.not_found", Text("没有这位居民", "No such resident")
        )
    if found.id == row.id or ages.is_minor(found.birth_date, on=today):
        raise RequestInvalid.at(
            "/resident_id",
            "guardian.not_adult",
            Text("监护人应为另一位成年人", "Another person, and an adult"),
        )


async def remove(
    session: WriteSession, row: Resident, guardian_id: UUID, *, now: datetime, today: date
) -> None:
    """Of a resident whom the caller has locked. Raises GuardianNotFound."""
    found = await session.get(Guardian, (row.id, guardian_id))
    if found is None:
        raise GuardianNotFound()
    await session.delete(found)
    await updating.moved_on(session, row, now=now, today=today)


async def shown(
    session: ReadSession,
    sealer: Sealer,
    row: Resident,
    *,
    within: Sequence[Area],
    today: date,
) -> list[GuardianRead]:
    """A resident's guardians, masked: two queries, however many."""
    rows = await _held(session, row)
    ids = [one.guardian_id for one in rows if one.guardian_id is not None]
    seen = await repository.residents(session, ids, within=within, on=today) if ids else {}
    return [masked(sealer, one, seen.get(one.guardian_id or one.id)) for one in rows]


def masked(sealer: Sealer, guardian: Guardian, resident: Resident | None) -> GuardianRead:
    values = _plain(sealer, guardian)
    name = resident.name if resident is not None else values["name"]
    return GuardianRead.model_validate(
        {
            **values,
            "relation": guardian.relation,
            "name": names.mask(name) if name else None,
            "phone": phones.mask(values["phone"]) if values["phone"] else None,
        }
    )


async def revealed(session: ReadSession, sealer: Sealer, row: Resident) -> list[dict[str, Any]]:
    """A resident's guardians with plain names and phones."""
    return [_plain(sealer, one) for one in await _held(session, row)]


async def _held(session: ReadSession, row: Resident) -> Sequence[Guardian]:
    statement = select(Guardian).where(Guardian.resident_id == row.id).order_by(Guardian.id)
    return (await session.scalars(statement)).all()


def _plain(sealer: Sealer, guardian: Guardian) -> dict[str, Any]:
    contact: dict[str, str] = {}
    if guardian.contact is not None:
        contact = json.loads(
            sealer.open(GUARDIAN_CONTACT, guardian.contact, blind_index=guardian.id.bytes)
        )
    return {
        "id": guardian.id,
        "resident_id": guardian.guardian_id,
        "name": contact.get("name"),
        "phone": contact.get("phone"),
    }
