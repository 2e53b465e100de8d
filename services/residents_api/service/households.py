"""Households: shown, and moved as one."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import names
from services.residents_api.domain.households import HEAD, TWO_HEADS, WITHOUT_HEAD, belongs
from services.residents_api.errors import HouseholdWithoutHead, TwoHeads
from services.residents_api.models import Dwelling, Occupancy, Resident
from services.residents_api.repository import households as repository
from services.residents_api.repository import placing, states
from services.residents_api.schemas.households import (
    HouseholdMember,
    HouseholdMove,
    HouseholdRead,
)
from services.residents_api.service import buildings, housing

_Living = Sequence[tuple[Occupancy, Resident]]


async def shown(session: ReadSession, dwelling: Dwelling, *, today: date) -> HouseholdRead:
    """Who lives in a dwelling: one query."""
    living = await _living_in(session, dwelling, today=today)
    members = [_member(*one) for one in living if belongs(one[0].relation_to_head)]
    heads = [one for one in members if one.relation_to_head == HEAD]
    fault = TWO_HEADS if len(heads) > 1 else WITHOUT_HEAD if members and not heads else None
    return HouseholdRead(
        dwelling_id=dwelling.id,
        head=heads[0] if len(heads) == 1 else None,
        members=members,
        lodgers=[_member(*one) for one in living if not belongs(one[0].relation_to_head)],
        faults=[fault] if fault else [],
    )


async def _living_in(session: ReadSession, dwelling: Dwelling, *, today: date) -> _Living:
    rows = await repository.living_in(session, dwelling.id, on=today)
    return [(row[0], row[1]) for row in rows]


def _member(occupancy: Occupancy, resident: Resident) -> HouseholdMember:
    values: dict[str, Any] = {
        name: getattr(occupancy, name)
        for name in ("resident_id", "relation_to_head", "tenure", "start_date", "end_date")
    }
    return HouseholdMember.model_validate(
        {
            **values,
            "occupancy_id": occupancy.id,
            "name": names.mask(resident.name),
            "sex": resident.sex,
            "birth_date": resident.birth_date,
        }
    )


async def move(
    session: WriteSession,
    dwelling: Dwelling,
    to: Dwelling,
    wanted: HouseholdMove,
    *,
    now: datetime,
    today: date,
) -> list[Occupancy]:
    """Move a household, or some of it with its head, in one transaction; the new occupancies.

    Raises RequestInvalid, HouseholdWithoutHead, TwoHeads, BuildingDemolished, AlreadyLivesThere (by
    constraint).
    """
    if to.id == dwelling.id:
        raise RequestInvalid.at(
            "/dwelling_id",
            "household.same_dwelling",
            Text("迁入地与迁出地相同", "The same dwelling"),
        )
    housing.check_planned(wanted.date, pointer="/date", today=today)
    # People before dwellings: in this order imports lock them too.
    await placing.lock_people(session, [dwelling.id])
    await session.refresh(to, with_for_update=True)
    await buildings.check_stands(session, to)
    moving = _moving(await _living_in(session, dwelling, today=today), wanted)
    heads = sum(occupancy.relation_to_head == HEAD for occupancy, _ in moving)
    if heads == 0:
        raise HouseholdWithoutHead()
    if heads > 1 or await repository.has_head(session, to.id, on=max(today, wanted.date)):
        raise TwoHeads()
    new = [_moved(occupancy, to, wanted) for occupancy, _ in moving]
    for _, resident in moving:
        resident.version += 1
        resident.updated_at = now
    session.add_all(new)
    await session.flush()
    await states.emit_residents(session, [resident.id for _, resident in moving], today=today)
    return new


def _moving(living: _Living, wanted: HouseholdMove) -> _Living:
    if wanted.resident_ids is None:
        moving = [one for one in living if belongs(one[0].relation_to_head)]
    else:
        moving = _named(living, wanted.resident_ids)
    for occupancy, _ in moving:
        if occupancy.start_date is not None and wanted.date < occupancy.start_date:
            raise RequestInvalid.at(
                "/date",
                "occupancy.ends_before_start",
                Text("迁出日期早于入住日期", "Nobody moves out before moving in"),
            )
        if occupancy.end_date is not None:
            raise RequestInvalid.at(
                "/date",
                "occupancy.already_ended",
                Text("有成员的迁出日期已登记", "Somebody of them is to leave already"),
            )
    return moving


def _named(living: _Living, ids: Sequence[UUID]) -> _Living:
    by_id = {resident.id: (occupancy, resident) for occupancy, resident in living}
    for position, one in enumerate(ids):
        if one not in by_id:
            raise RequestInvalid.at(
                f"/resident_ids/{position}",
                "resident.not_found",
                Text("此人不住在这里", "This person does not live there"),
            )
    return [by_id[one] for one in dict.fromkeys(ids)]


def _moved(occupancy: Occupancy, to: Dwelling, wanted: HouseholdMove) -> Occupancy:
    """End an occupancy, and begin the next."""
    occupancy.end_date = wanted.date
    tenure = wanted.tenure or occupancy.tenure
    housing.check_lease(wanted.lease_end_date, starts=wanted.date)
    return Occupancy(
        resident_id=occupancy.resident_id,
        id=new_id(),
        dwelling_id=to.id,
        division_code=to.division_code,
        grid_code=to.grid_code,
        compound_id=to.compound_id,
        tenure=tenure,
        relation_to_head=occupancy.relation_to_head,
        start_date=wanted.date,
        end_date=None,
        lease_end_date=wanted.lease_end_date,
        rejection_reason=None,
        state=occupancy.state,
    )
