"""`/v1/dwellings` and `/v1/occupancies`: who lives where."""

from typing import Annotated

from fastapi import APIRouter, Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    DwellingInPath,
    Now,
    OccupancyInPath,
    ResidentInPath,
    Today,
    dwelling_in_path,
    locked_resident_in_path,
)
from services.residents_api.errors import (
    AlreadyEnded,
    AlreadyLivesThere,
    DwellingNotFound,
    OccupancyNotFound,
    ResidentNotFound,
)
from services.residents_api.models import Occupancy
from services.residents_api.repository import housing as repository
from services.residents_api.schemas.housing import (
    DwellingPage,
    DwellingRead,
    OccupancyCreate,
    OccupancyEnd,
    OccupancyPage,
    OccupancyRead,
)
from services.residents_api.service import housing as service

router = APIRouter(prefix="/v1", route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]


@router.get("/dwellings", tags=["dwellings"], responses=refuses(AreaForbidden))
async def list_dwellings(
    _: Reader, session: Reading, areas: AreasInQuery, page: PageInQuery
) -> DwellingPage:
    """Dwellings within an area, ordered by village."""
    rows, token = await repository.dwellings(session, within=areas, page=page)
    return DwellingPage.model_validate({"items": rows, "next_page_token": token})


@router.get("/dwellings/{dwelling_id}", tags=["dwellings"], responses=refuses(DwellingNotFound))
async def show_dwelling(_: Reader, row: DwellingInPath) -> DwellingRead:
    """One dwelling."""
    return DwellingRead.model_validate(row)


@router.get(
    "/dwellings/{dwelling_id}/occupancies",
    tags=["occupancies"],
    responses=refuses(DwellingNotFound),
)
async def list_occupancies_of_dwelling(
    _: Reader, session: Reading, dwelling: DwellingInPath, page: PageInQuery, on: Today
) -> OccupancyPage:
    """Who lives in a dwelling, who did, and who is to be reviewed."""
    rows, token = await repository.occupancies(
        session, Occupancy.dwelling_id == dwelling.id, page=page
    )
    return OccupancyPage(items=[_read(row, on) for row in rows], next_page_token=token)


@router.get(
    "/residents/{resident_id}/occupancies",
    tags=["occupancies"],
    responses=refuses(ResidentNotFound),
)
async def list_occupancies_of_resident(
    _: Reader, session: Reading, resident: ResidentInPath, page: PageInQuery, on: Today
) -> OccupancyPage:
    """Where a resident lives and lived."""
    rows, token = await repository.occupancies(
        session, Occupancy.resident_id == resident.id, page=page
    )
    return OccupancyPage(items=[_read(row, on) for row in rows], next_page_token=token)


@router.post(
    "/occupancies",
    tags=["occupancies"],
    status_code=201,
    responses=refuses(ResidentNotFound, DwellingNotFound, AlreadyLivesThere),
)
async def move_in(
    caller: Writer,
    session: Writing,
    wanted: OccupancyCreate,
    now: Now,
    on: Today,
    response: Response,
) -> OccupancyRead:
    """Somebody moves into a dwelling. Both must be within the caller's areas."""
    resident = await locked_resident_in_path(wanted.resident_id, session, caller, on)
    dwelling = await dwelling_in_path(wanted.dwelling_id, session, caller)
    row = await service.move_in(session, resident, dwelling, wanted, now=now, today=on)
    response.headers["Location"] = f"/v1/residents/{resident.id}/occupancies"
    return _read(row, on)


@router.post(
    "/occupancies/{occupancy_id}/end",
    tags=["occupancies"],
    responses=refuses(OccupancyNotFound, AlreadyEnded),
)
async def move_out(
    _: Writer,
    session: Writing,
    row: OccupancyInPath,
    wanted: OccupancyEnd,
    now: Now,
    on: Today,
) -> OccupancyRead:
    """Somebody moves out: `end_date` is the first day on which they no longer live there."""
    row = await service.move_out(session, row, wanted.end_date, now=now, today=on)
    return _read(row, on)


def _read(row: Occupancy, on: Today) -> OccupancyRead:
    values = {name: getattr(row, name) for name in OccupancyRead.model_fields if name != "state"}
    return OccupancyRead.model_validate(values | {"state": service.state(row, today=on)})
