"""What endpoints are handed: the caller's areas, rows by path id, or a refusal."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from services.common.areas import Area, AreaKind, Place
from services.common.clock import Clock, today
from services.common.database import ReadSession
from services.common.routing import Reading, Writing
from services.common.schemas import AreaCode
from services.common.security import Caller, CurrentCaller
from services.residents_api.domain.sealing import Sealer
from services.residents_api.errors import (
    DwellingNotFound,
    ImportNotFound,
    OccupancyNotFound,
    ResidentNotFound,
)
from services.residents_api.models import Dwelling, LedgerImport, Occupancy, Resident
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import housing, people

AreaQuery = Annotated[
    AreaCode | None,
    Query(description="Only what lies in this area; by default all of the caller's areas."),
]


async def areas_in_query(
    session: Reading, caller: CurrentCaller, area: AreaQuery = None
) -> tuple[Area, ...]:
    return await areas_of(session, caller, area)


async def areas_of(session: ReadSession, caller: Caller, area: str | None) -> tuple[Area, ...]:
    """The areas to look in. Raises AreaForbidden for an area outside the caller's."""
    village = None
    if area is not None and Area.parse(area).kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(area))
    return caller.narrowed(area, village_code=village)


AreasInQuery = Annotated[tuple[Area, ...], Depends(areas_in_query)]


def today_in_city(request: Request) -> date:
    clock: Clock = request.state.clock
    return today(clock)


def instant(request: Request) -> datetime:
    clock: Clock = request.state.clock
    return clock.now()


def sealer_of(request: Request) -> Sealer:
    sealer: Sealer = request.state.sealer
    return sealer


Today = Annotated[date, Depends(today_in_city)]
Now = Annotated[datetime, Depends(instant)]
RegisterSealer = Annotated[Sealer, Depends(sealer_of)]


async def resident_in_path(
    resident_id: UUID, session: Reading, caller: CurrentCaller, on: Today
) -> Resident:
    """The resident, if the caller's areas contain them: else as if they did not exist."""
    found = await people.resident(session, resident_id, within=caller.areas, on=on)
    if found is None:
        raise ResidentNotFound()
    return found


async def locked_resident_in_path(
    resident_id: UUID, session: Writing, caller: CurrentCaller, on: Today
) -> Resident:
    """The same, locked until the request's transaction ends."""
    found = await people.resident(session, resident_id, within=caller.areas, on=on, lock=True)
    if found is None:
        raise ResidentNotFound()
    return found


async def dwelling_in_path(dwelling_id: UUID, session: Reading, caller: CurrentCaller) -> Dwelling:
    found = await housing.dwelling(session, dwelling_id)
    if found is None or not caller.sees(place_of_dwelling(found)):
        raise DwellingNotFound()
    return found


def place_of_dwelling(dwelling: Dwelling) -> Place:
    return Place(dwelling.division_code, dwelling.grid_code, dwelling.compound_id)


async def occupancy_in_path(
    occupancy_id: UUID, session: Writing, caller: CurrentCaller
) -> Occupancy:
    """An occupancy of a dwelling within the caller's areas, locked."""
    found = await housing.occupancy(session, occupancy_id, within=caller.areas)
    if found is None:
        raise OccupancyNotFound()
    return found


async def import_in_path(import_id: UUID, session: Reading, caller: CurrentCaller) -> LedgerImport:
    found = await session.get(LedgerImport, import_id)
    if found is None or not caller.sees(Place(found.village_code)):
        raise ImportNotFound()
    return found


ResidentInPath = Annotated[Resident, Depends(resident_in_path)]
LockedResidentInPath = Annotated[Resident, Depends(locked_resident_in_path)]
DwellingInPath = Annotated[Dwelling, Depends(dwelling_in_path)]
OccupancyInPath = Annotated[Occupancy, Depends(occupancy_in_path)]
ImportInPath = Annotated[LedgerImport, Depends(import_in_path)]
