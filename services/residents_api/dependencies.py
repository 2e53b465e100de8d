"""What endpoints are handed: the caller's areas, rows by path id, or a refusal."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, TypeAdapter, ValidationError

from services.common.areas import Area, AreaKind, Place
from services.common.clock import SHANGHAI, Clock, today
from services.common.database import ReadSession
from services.common.problems import Problem, RequestInvalid, Text
from services.common.routing import Reading, Writing
from services.common.schemas import AreaCode
from services.common.security import Caller, CurrentCaller
from services.residents_api.domain.dates import EARLIEST_YEAR, LATEST_YEAR
from services.residents_api.domain.sealing import Sealer
from services.residents_api.errors import (
    BuildingNotFound,
    CompoundNotFound,
    DivisionNotFound,
    DwellingNotFound,
    GridNotFound,
    ImportNotFound,
    OccupancyNotFound,
    ResidentMerged,
    ResidentNotFound,
    SuccessionNotFound,
)
from services.residents_api.models import (
    Building,
    Compound,
    Division,
    DivisionSuccession,
    Dwelling,
    Grid,
    LedgerImport,
    Occupancy,
    Resident,
)
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import duplicates, history, housing, people
from services.residents_api.schemas.days import Day

AreaQuery = Annotated[
    AreaCode | None,
    Query(description="Only what lies in this area; by default all of the caller's areas."),
]


# Towns and villages are succeeded by others; counties and what is above them are not.
_SUCCEEDED_LENGTH = 9


async def areas_in_query(
    session: Reading, caller: CurrentCaller, area: AreaQuery = None
) -> tuple[Area, ...]:
    return await areas_of(session, caller, area)


async def areas_of(session: ReadSession, caller: Caller, area: str | None) -> tuple[Area, ...]:
    """The areas to look in. Raises AreaForbidden for an area outside the caller's."""
    if area is None:
        return caller.areas
    asked = Area.parse(area)
    village = None
    if asked.kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(area))
    found = caller.narrowed(area, village_code=village)
    if asked.kind is AreaKind.DIVISION and len(asked.code) >= _SUCCEEDED_LENGTH:
        # What a former division contained is asked for by its old code for years.
        became = await areas_repository.became(session, asked.code)
        found += tuple(Area.parse(code) for code in became if caller.sees(Place(code)))
    return found


DivisionCodeInPath = Annotated[str, Path(pattern="^[0-9]{2,12}$", examples=["510182104006"])]
GridCodeInPath = Annotated[str, Path(pattern="^[0-9]{15}$", examples=["510182104006001"])]

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
    """The resident, if the caller's areas contain them: else as if they did not exist.

    Raises ResidentNotFound, ResidentMerged.
    """
    found = await people.resident(session, resident_id, within=caller.areas, on=on)
    if found is None:
        raise await _not_there(session, resident_id, caller, on)
    return found


async def _not_there(
    session: ReadSession, resident_id: UUID, caller: Caller, on: date
) -> ResidentNotFound:
    survivor_id = await duplicates.survivor_of(session, resident_id)
    if survivor_id is not None:
        survivor = await people.resident(session, survivor_id, within=caller.areas, on=on)
        if survivor is not None:
            return ResidentMerged(members={"survivor_id": str(survivor_id)})
    return ResidentNotFound()


async def locked_resident_in_path(
    resident_id: UUID, session: Writing, caller: CurrentCaller, on: Today
) -> Resident:
    """The same, locked until the request's transaction ends."""
    found = await people.resident(session, resident_id, within=caller.areas, on=on, lock=True)
    if found is None:
        raise await _not_there(session, resident_id, caller, on)
    return found


async def dwelling_in_path(dwelling_id: UUID, session: Reading, caller: CurrentCaller) -> Dwelling:
    found = await housing.dwelling(session, dwelling_id)
    if found is None or not caller.sees(place_of_dwelling(found)):
        raise DwellingNotFound()
    return found


def place_of_dwelling(dwelling: Dwelling) -> Place:
    return Place(dwelling.division_code, dwelling.grid_code, dwelling.compound_id)


async def locked_dwelling_in_path(
    dwelling_id: UUID, session: Writing, caller: CurrentCaller
) -> Dwelling:
    """The same, locked until the request's transaction ends."""
    found = await session.get(Dwelling, dwelling_id, with_for_update=True)
    if found is None or not caller.sees(place_of_dwelling(found)):
        raise DwellingNotFound()
    return found


async def division_in_path(code: DivisionCodeInPath, session: Reading) -> Division:
    """A division, former ones included: they name nobody, so every account sees all."""
    found = await session.get(Division, code)
    if found is None:
        raise DivisionNotFound()
    return found


async def locked_division_in_path(code: DivisionCodeInPath, session: Writing) -> Division:
    found = await session.get(Division, code, with_for_update=True)
    if found is None:
        raise DivisionNotFound()
    return found


async def compound_in_path(compound_id: UUID, session: Reading, caller: CurrentCaller) -> Compound:
    found = await session.get(Compound, compound_id)
    return _seen_compound(found, caller)


async def locked_compound_in_path(
    compound_id: UUID, session: Writing, caller: CurrentCaller
) -> Compound:
    found = await session.get(Compound, compound_id, with_for_update=True)
    return _seen_compound(found, caller)


def _seen_compound(found: Compound | None, caller: Caller) -> Compound:
    if found is None or not caller.sees(Place(found.village_code, compound_id=found.id)):
        raise CompoundNotFound()
    return found


async def grid_in_path(code: GridCodeInPath, session: Reading, caller: CurrentCaller) -> Grid:
    found = await session.get(Grid, code)
    return _seen_grid(found, caller)


async def locked_grid_in_path(
    code: GridCodeInPath, session: Writing, caller: CurrentCaller
) -> Grid:
    found = await session.get(Grid, code, with_for_update=True)
    return _seen_grid(found, caller)


def _seen_grid(found: Grid | None, caller: Caller) -> Grid:
    if found is None or not caller.sees(Place(found.village_code, grid_code=found.code)):
        raise GridNotFound()
    return found


async def building_in_path(building_id: UUID, session: Reading, caller: CurrentCaller) -> Building:
    found = await session.get(Building, building_id)
    return _seen_building(found, caller)


async def locked_building_in_path(
    building_id: UUID, session: Writing, caller: CurrentCaller
) -> Building:
    found = await session.get(Building, building_id, with_for_update=True)
    return _seen_building(found, caller)


def _seen_building(found: Building | None, caller: Caller) -> Building:
    if found is None or not caller.sees(
        Place(found.village_code, found.grid_code, found.compound_id)
    ):
        raise BuildingNotFound()
    return found


async def succession_in_path(
    succession_id: UUID, session: Reading, caller: CurrentCaller
) -> DivisionSuccession:
    """A succession of a division whose parent the caller's areas contain."""
    found = await session.get(DivisionSuccession, succession_id)
    if found is None or not caller.sees(Place(found.code[:-3])):
        raise SuccessionNotFound()
    return found


async def occupancy_in_path(
    occupancy_id: UUID, session: Writing, caller: CurrentCaller
) -> Occupancy:
    """An occupancy of a dwelling within the caller's areas, locked."""
    found = await housing.occupancy(session, occupancy_id, within=caller.areas)
    if found is None:
        raise OccupancyNotFound()
    return found


async def dwelling_on_record(
    dwelling_id: UUID, session: Reading, caller: CurrentCaller
) -> Dwelling:
    """The dwelling or, if it is deleted, what it was."""
    found = await housing.dwelling(session, dwelling_id)
    found = found or await history.deleted_dwelling(session, dwelling_id)
    if found is None or not caller.sees(place_of_dwelling(found)):
        raise DwellingNotFound()
    return found


async def occupancy_on_record(
    occupancy_id: UUID, session: Reading, caller: CurrentCaller
) -> Occupancy:
    """The occupancy or, if it is deleted, what it was."""
    found = await housing.occupancy_seen(session, occupancy_id, within=caller.areas)
    if found is None:
        found = await history.deleted(session, Occupancy, str(occupancy_id))
        if found is None or not caller.sees(
            Place(found.division_code, found.grid_code, found.compound_id)
        ):
            raise OccupancyNotFound()
    return found


@dataclass(frozen=True, slots=True)
class AsOf:
    """A time to look back to: what changed at `until` or later had not happened yet."""

    until: datetime
    day: date


def as_of_in_query(
    now: Now,
    as_of: Annotated[
        str | None,
        Query(
            max_length=40,
            description="How it was at the end of that day in the city, or at that instant.",
            examples=["2026-03-01"],
        ),
    ] = None,
) -> AsOf | None:
    """Raises RequestInvalid for what is neither a day nor an instant, or is still to come."""
    if as_of is None:
        return None
    try:
        asked = _AS_OF.validate_strings(as_of)
    except ValidationError:
        raise _as_of_refused(
            "as_of.malformed",
            Text("应为日期或带时区的时刻", "A date, or an instant with its time zone, is expected"),
        ) from None
    today = now.astimezone(SHANGHAI).date()
    if isinstance(asked, datetime):
        day, until = asked.astimezone(SHANGHAI).date(), asked + timedelta(microseconds=1)
        to_come = asked > now
    else:
        day, to_come = asked, asked > today
        until = datetime.combine(asked + timedelta(days=1), time(), SHANGHAI)
    if to_come:
        raise _as_of_refused("as_of.in_future", Text("日期晚于今天", "That is still to come"))
    return AsOf(until.astimezone(UTC), day)


def _written(text: str) -> str:
    # Pydantic takes "0" for an instant, too: the first of 1970.
    if not _STARTS_WITH_A_DAY.match(text):
        raise ValueError
    return text


def _plausible(at: datetime) -> datetime:
    if not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
        raise ValueError
    return at


_STARTS_WITH_A_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AS_OF: TypeAdapter[date | datetime] = TypeAdapter(
    Day | Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_plausible)]
)


def _as_of_refused(code: str, detail: Text) -> Problem:
    return RequestInvalid.at("/query/as_of", code, detail)


async def import_in_path(import_id: UUID, session: Reading, caller: CurrentCaller) -> LedgerImport:
    found = await session.get(LedgerImport, import_id)
    if found is None or not caller.sees(Place(found.village_code)):
        raise ImportNotFound()
    return found


ResidentInPath = Annotated[Resident, Depends(resident_in_path)]
LockedResidentInPath = Annotated[Resident, Depends(locked_resident_in_path)]
DwellingInPath = Annotated[Dwelling, Depends(dwelling_in_path)]
LockedDwellingInPath = Annotated[Dwelling, Depends(locked_dwelling_in_path)]
DivisionInPath = Annotated[Division, Depends(division_in_path)]
LockedDivisionInPath = Annotated[Division, Depends(locked_division_in_path)]
CompoundInPath = Annotated[Compound, Depends(compound_in_path)]
LockedCompoundInPath = Annotated[Compound, Depends(locked_compound_in_path)]
GridInPath = Annotated[Grid, Depends(grid_in_path)]
LockedGridInPath = Annotated[Grid, Depends(locked_grid_in_path)]
BuildingInPath = Annotated[Building, Depends(building_in_path)]
LockedBuildingInPath = Annotated[Building, Depends(locked_building_in_path)]
SuccessionInPath = Annotated[DivisionSuccession, Depends(succession_in_path)]
DwellingOnRecord = Annotated[Dwelling, Depends(dwelling_on_record)]
OccupancyOnRecord = Annotated[Occupancy, Depends(occupancy_on_record)]
AsOfInQuery = Annotated[AsOf | None, Depends(as_of_in_query)]
OccupancyInPath = Annotated[Occupancy, Depends(occupancy_in_path)]
ImportInPath = Annotated[LedgerImport, Depends(import_in_path)]
