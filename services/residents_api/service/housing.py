"""Moving in, moving out, and deciding on what others say of where somebody lives."""

from datetime import date, datetime, timedelta
from uuid import UUID

from services.common.database import WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain.households import HEAD
from services.residents_api.errors import (
    AlreadyEnded,
    AlreadyLivesThere,
    OccupancyDecided,
    ResidentNotActive,
    TwoHeads,
)
from services.residents_api.models import Dwelling, Occupancy, Resident
from services.residents_api.repository import households, states
from services.residents_api.repository import housing as repository
from services.residents_api.schemas.housing import (
    OccupancyCreate,
    OccupancyState,
    OccupancyUpdate,
)
from services.residents_api.schemas.people import ResidentState
from services.residents_api.service import buildings

# Later than that it is a slip of the pen: 2062 for 2026.
_PLANNED_AHEAD = timedelta(days=366)


async def move_in(
    session: WriteSession,
    resident: Resident,
    dwelling: Dwelling,
    wanted: OccupancyCreate,
    *,
    now: datetime,
    today: date,
) -> Occupancy:
    """Raises RequestInvalid, ResidentNotActive, BuildingDemolished, TwoHeads, AlreadyLivesThere
    (also by constraint).
    """
    if resident.state != ResidentState.ACTIVE:
        raise ResidentNotActive()
    is_head = wanted.relation_to_head == HEAD
    # What is demolished or placed elsewhere meanwhile waits, or is waited for; so does another head.
    await session.refresh(dwelling, with_for_update=True if is_head else {"read": True})
    await buildings.check_stands(session, dwelling)
    if resident.birth_date is not None and wanted.start_date < resident.birth_date:
        raise RequestInvalid.at(
            "/start_date",
            "occupancy.starts_before_birth",
            Text("入住日期早于出生日期", "Nobody moves in before being born"),
        )
    check_planned(wanted.start_date, pointer="/start_date", today=today)
    check_lease(wanted.lease_end_date, starts=wanted.start_date)
    # Who is to leave on a day to come lives there until then.
    until = max(wanted.start_date, today)
    if await repository.leaves_later(session, resident.id, dwelling.id, than=until):
        raise AlreadyLivesThere()
    if is_head and await households.has_head(session, dwelling.id, on=until, but=resident.id):
        raise TwoHeads()
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
        end_date=None,
        lease_end_date=wanted.lease_end_date,
        rejection_reason=None,
        state=OccupancyState.APPROVED.value,
    )
    session.add(row)
    await _changed(session, resident.id, now=now, today=today)
    return row


def check_planned(start_date: date, *, pointer: str, today: date) -> None:
    """Raises RequestInvalid."""
    if start_date > today + _PLANNED_AHEAD:
        raise RequestInvalid.at(
            pointer,
            "occupancy.starts_too_late",
            Text("入住日期不能晚于一年之后", "Nobody moves in more than a year from now"),
        )


def check_lease(lease_end_date: date | None, *, starts: date | None) -> None:
    """Raises RequestInvalid for a lease that ends before it begins."""
    if lease_end_date is not None and starts is not None and lease_end_date <= starts:
        raise RequestInvalid.at(
            "/lease_end_date",
            "occupancy.lease_ends_before_start",
            Text("租约到期日应晚于入住日期", "A lease ends after somebody has moved in"),
        )


async def update(
    session: WriteSession,
    row: Occupancy,
    wanted: OccupancyUpdate,
    *,
    version: int,
    now: datetime,
    today: date,
) -> int:
    """Apply the fields that are present; the resident's version after it, which `version` is
    compared with.

    Raises PreconditionFailed, RequestInvalid, AlreadyEnded, TwoHeads.
    """
    resident = await repository.lock_resident(session, row.resident_id)
    await session.refresh(row, with_for_update=True)
    check_version(resident.version, version)
    if row.end_date is not None and row.end_date <= today:
        raise AlreadyEnded()
    said = wanted.model_fields_set
    for name in said & {"tenure", "relation_to_head"}:
        if getattr(wanted, name) is None:
            raise RequestInvalid.at(
                f"/{name}", "field.required", Text("此项不能清空", "This cannot be emptied")
            )
    if wanted.relation_to_head == HEAD:
        await session.get(Dwelling, row.dwelling_id, with_for_update=True)
        if await households.has_head(session, row.dwelling_id, on=today, but=row.resident_id):
            raise TwoHeads()
    if "lease_end_date" in said:
        check_lease(wanted.lease_end_date, starts=row.start_date)
    for name in said:
        setattr(row, name, getattr(wanted, name))
    if session.is_modified(row):
        await _changed(session, row.resident_id, now=now, today=today)
    return resident.version


async def approve(
    session: WriteSession, row: Occupancy, *, now: datetime, today: date
) -> Occupancy:
    """Take over what a ledger said of somebody who is known elsewhere. They live in both places
    then, until somebody says that they have left.

    Raises OccupancyDecided, ResidentNotActive, BuildingDemolished, TwoHeads.
    """
    resident = await _pending(session, row)
    if resident.state != ResidentState.ACTIVE:
        raise ResidentNotActive()
    dwelling = await session.get_one(Dwelling, row.dwelling_id, with_for_update=True)
    await buildings.check_stands(session, dwelling)
    if row.relation_to_head == HEAD and await households.has_head(
        session, dwelling.id, on=today, but=row.resident_id
    ):
        raise TwoHeads()
    row.state = OccupancyState.APPROVED.value
    await _changed(session, row.resident_id, now=now, today=today)
    return row


async def reject(session: WriteSession, row: Occupancy, *, reason: str, today: date) -> Occupancy:
    """Raises OccupancyDecided."""
    await _pending(session, row)
    row.state = OccupancyState.REJECTED.value
    row.rejection_reason = reason
    # It is over: a ledger that goes on saying so is not asked about again.
    row.end_date = today if row.start_date is None else max(row.start_date, today)
    await session.flush()
    return row


async def _pending(session: WriteSession, row: Occupancy) -> Resident:
    resident = await repository.lock_resident(session, row.resident_id)
    await session.refresh(row, with_for_update=True)
    if row.state != OccupancyState.PENDING:
        raise OccupancyDecided()
    return resident


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
    ended = row.end_date is not None and row.end_date <= today
    if ended and row.state != OccupancyState.REJECTED:
        return OccupancyState.ENDED
    return OccupancyState(row.state)
