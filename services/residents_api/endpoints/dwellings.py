"""`/v1/dwellings`: where people can live."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.common.access import Permission
from services.common.areas import Place
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    DwellingInPath,
    LockedDwellingInPath,
    Now,
    Today,
    place_of_dwelling,
)
from services.residents_api.errors import (
    AddressTaken,
    BuildingDemolished,
    DivisionEnded,
    DwellingNotEmpty,
    DwellingNotFound,
    GridEnded,
)
from services.residents_api.repository import housing as repository
from services.residents_api.schemas.codes import DwellingUse
from services.residents_api.schemas.dwellings import (
    DwellingCreate,
    DwellingPage,
    DwellingRead,
    DwellingUpdate,
)
from services.residents_api.service import dwellings as service

router = APIRouter(prefix="/v1/dwellings", tags=["dwellings"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]


@router.get("", responses=refuses(AreaForbidden))
async def list_dwellings(
    _: Reader,
    session: Reading,
    areas: AreasInQuery,
    page: PageInQuery,
    use: Annotated[DwellingUse | None, Query()] = None,
    building: Annotated[
        str | None, Query(max_length=30, pattern=r"^[^\x00-\x1f]+$", examples=["3"])
    ] = None,
) -> DwellingPage:
    """Dwellings within an area, ordered by village."""
    rows, token = await repository.dwellings(
        session, within=areas, use=use, building=building, page=page
    )
    return DwellingPage(items=await service.shown(session, rows), next_page_token=token)


@router.post(
    "",
    status_code=201,
    responses=refuses(AreaForbidden, DivisionEnded, GridEnded, AddressTaken, BuildingDemolished),
)
async def create_dwelling(
    caller: Writer, session: Writing, wanted: DwellingCreate, response: Response
) -> DwellingRead:
    """A dwelling within the caller's areas: a grid worker's lies in the grid."""
    if not caller.sees(Place(wanted.division_code, wanted.grid_code, wanted.compound_id)):
        raise AreaForbidden()
    row = await service.create(session, wanted)
    response.headers["Location"] = f"/v1/dwellings/{row.id}"
    response.headers["ETag"] = etag(row.version)
    return (await service.shown(session, [row]))[0]


@router.get("/{dwelling_id}", responses=refuses(DwellingNotFound))
async def show_dwelling(
    _: Reader, session: Reading, row: DwellingInPath, response: Response
) -> DwellingRead:
    """One dwelling. The `ETag` is what an update must present."""
    response.headers["ETag"] = etag(row.version)
    return (await service.shown(session, [row]))[0]


@router.patch(
    "/{dwelling_id}",
    responses=refuses(
        DwellingNotFound,
        AreaForbidden,
        GridEnded,
        AddressTaken,
        BuildingDemolished,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def update_dwelling(
    caller: Writer,
    session: Writing,
    row: DwellingInPath,
    version: IfMatch,
    wanted: DwellingUpdate,
    now: Now,
    on: Today,
    response: Response,
) -> DwellingRead:
    """Change the fields that are present. Into another area only by somebody who has both."""
    row = await service.update(session, row, wanted, version=version, now=now, today=on)
    if not caller.sees(place_of_dwelling(row)):
        raise AreaForbidden()
    response.headers["ETag"] = etag(row.version)
    return (await service.shown(session, [row]))[0]


@router.delete(
    "/{dwelling_id}",
    status_code=204,
    responses=refuses(DwellingNotFound, DwellingNotEmpty, PreconditionFailed, PreconditionRequired),
)
async def delete_dwelling(
    _: Writer, session: Writing, row: LockedDwellingInPath, version: IfMatch
) -> None:
    """Delete a dwelling in which nobody ever lived."""
    await service.remove(session, row, version=version)
