"""Moving in and moving out."""

from datetime import date, datetime
from uuid import UUID

from services.common.database import WriteSession
from services.common.identifiers import new_id
from services.common.problems import RequestInvalid, Text
from services.residents_api.errors import AlreadyEnded, AlreadyLivesThere
from services.residents_api.models import Dwelling, Occupancy, Resident
from services.residents_api.repository import housing as repository
from services.residents_api.repository import states
from services.residents_api.schemas.housing import OccupancyCreate, OccupancyState


async def move_in(
    session: WriteSession,
    resident: Resident,
    dwelling: Dwelling,
    wanted: OccupancyCreate,
    *,
    now: datetime,
    today: date,
) -> Occupancy:
    """Raises RequestInvalid, AlreadyLivesThere (also by constraint)."""
    if resident.birth_date is not None and wanted.start_date < resident.birth_date:
        raise RequestInvalid.at(
            "/start_date",
            "occupancy.starts_before_birth",
            Text("入住日期早于出生日期", "Nobody moves in before being born"),
        )
    # Who is to leave on a day to come lives there until then.
    until = max(wanted.start_date, today)
    if await repository.leaves_later(session, resident.id, dwelling.id, than=until):
        raise AlreadyLivesThere()
    row = Occupancy(
        resident_id=resident.id,
        id=new_id(),
        dwelling_id=dwelling.id,
        division_code=dwelling.division_code,
        grid_code=dwelling.grid_code,
        compound_id=dwelling.compound_id,
        tenure=wanted.tenure,
        relation_to_head=wanted.relation_to_head,
        start_date=wanted.start_date,
        state=OccupancyState.APPROVED.value,
    )
    session.add(row)
    await _changed(session, resident.id, now=now, today=today)
    return row


async def move_out(
    session: WriteSession, row: Occupancy, end_date: date, *, now: datetime, today: date
) -> Occupancy:
    """End an occupancy that the caller has locked. Raises AlreadyEnded, RequestInvalid."""
    if row.end_date is not None:
        raise AlreadyEnded()
    if row.start_date is not None and end_date < row.start_date:
        raise RequestInvalid.at(
            "/end_date",
            "occupancy.ends_before_start",
            Text("迁出日期早于入住日期", "Nobody moves out before moving in"),
        )
    row.end_date = end_date
    await _changed(session, row.resident_id, now=now, today=today)
    return row


async def _changed(session: WriteSession, resident_id: UUID, *, now: datetime, today: date) -> None:
    """Where somebody lives is part of their state: it moves their version on."""
    resident = await repository.lock_resident(session, resident_id)
    resident.version += 1
    resident.updated_at = now
    await session.flush()
    await states.emit_residents(session, [resident_id], today=today)


def state(row: Occupancy, *, today: date) -> OccupancyState:
    if row.end_date is not None and row.end_date <= today:
        return OccupancyState.ENDED
    return OccupancyState(row.state)
