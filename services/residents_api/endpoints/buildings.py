"""`/v1/buildings` and their units."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from services.common.access import Permission
from services.common.areas import Place
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    BuildingInPath,
    LockedBuildingInPath,
    Today,
)
from services.residents_api.errors import (
    BuildingInhabited,
    BuildingNotEmpty,
    BuildingNotFound,
    BuildingTaken,
    DivisionEnded,
    GridEnded,
    UnitNotFound,
    UnitTaken,
)
from services.residents_api.repository import buildings as repository
from services.residents_api.schemas.buildings import (
    BuildingCreate,
    BuildingPage,
    BuildingRead,
    BuildingUpdate,
    UnitCreate,
    UnitPage,
    UnitRead,
    UnitWrite,
)
from services.residents_api.schemas.codes import BuildingStatus
from services.residents_api.service import buildings as service

router = APIRouter(prefix="/v1/buildings", tags=["buildings"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.AREAS_WRITE)]
UnitNumber = Annotated[str, Path(min_length=1, max_length=30, pattern=r"^[^\x00-\x1f/]+$")]


@router.get("", responses=refuses(AreaForbidden))
async def list_buildings(
    _: Reader,
    session: Reading,
    areas: AreasInQuery,
    page: PageInQuery,
    status: Annotated[BuildingStatus | None, Query()] = None,
) -> BuildingPage:
    """Registered buildings within an area, in the order of their villages."""
    rows = await repository.buildings(session, within=areas, status=status, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.village_code, row.id))
    return BuildingPage.model_validate({"items": items, "next_page_token": token})


@router.post(
    "",
    status_code=201,
    responses=refuses(AreaForbidden, DivisionEnded, GridEnded, BuildingTaken, BuildingInhabited),
)
async def create_building(
    caller: Writer, session: Writing, wanted: BuildingCreate, on: Today, response: Response
) -> BuildingRead:
    """A building within the caller's areas."""
    if not caller.sees(Place(wanted.village_code, wanted.grid_code, wanted.compound_id)):
        raise AreaForbidden()
    row = await service.create(session, wanted, today=on)
    response.headers["Location"] = f"/v1/buildings/{row.id}"
    response.headers["ETag"] = etag(row.version)
    return BuildingRead.model_validate(row)


@router.get("/{building_id}", responses=refuses(BuildingNotFound))
async def show_building(_: Reader, row: BuildingInPath, response: Response) -> BuildingRead:
    """One building. The `ETag` is what an update must present."""
    response.headers["ETag"] = etag(row.version)
    return BuildingRead.model_validate(row)


@router.patch(
    "/{building_id}",
    responses=refuses(
        BuildingNotFound, BuildingInhabited, GridEnded, PreconditionFailed, PreconditionRequired
    ),
)
async def update_building(
    caller: Writer,
    session: Writing,
    row: LockedBuildingInPath,
    version: IfMatch,
    wanted: BuildingUpdate,
    on: Today,
    response: Response,
) -> BuildingRead:
    """Change the fields that are present. What somebody lives in cannot be demolished."""
    row = await service.update(session, row, wanted, version=version, today=on)
    if not caller.sees(Place(row.village_code, row.grid_code, row.compound_id)):
        raise AreaForbidden()
    response.headers["ETag"] = etag(row.version)
    return BuildingRead.model_validate(row)


@router.delete(
    "/{building_id}",
    status_code=204,
    responses=refuses(BuildingNotFound, BuildingNotEmpty, PreconditionFailed, PreconditionRequired),
)
async def delete_building(
    _: Writer, session: Writing, row: LockedBuildingInPath, version: IfMatch
) -> None:
    """Delete a building without dwellings, and its units."""
    await service.remove(session, row, version=version)


@router.get("/{building_id}/units", responses=refuses(BuildingNotFound))
async def list_units(
    _: Reader, session: Reading, row: BuildingInPath, page: PageInQuery
) -> UnitPage:
    """The units of a building."""
    rows = await repository.units(session, row.id, page=page)
    items, token = cut(rows, page, keys=lambda unit: (unit.number,))
    return UnitPage.model_validate({"items": items, "next_page_token": token})


@router.post(
    "/{building_id}/units", status_code=201, responses=refuses(BuildingNotFound, UnitTaken)
)
async def create_unit(
    _: Writer, session: Writing, row: LockedBuildingInPath, wanted: UnitCreate, response: Response
) -> UnitRead:
    """A unit of a building."""
    unit = await service.create_unit(session, row, wanted)
    response.headers["Location"] = f"/v1/buildings/{row.id}/units"
    return UnitRead.model_validate(unit)


@router.patch("/{building_id}/units/{number}", responses=refuses(BuildingNotFound, UnitNotFound))
async def update_unit(
    _: Writer, session: Writing, row: LockedBuildingInPath, number: UnitNumber, wanted: UnitWrite
) -> UnitRead:
    """Change the fields that are present."""
    return UnitRead.model_validate(await service.update_unit(session, row, number, wanted))


@router.delete(
    "/{building_id}/units/{number}",
    status_code=204,
    responses=refuses(BuildingNotFound, UnitNotFound),
)
async def delete_unit(
    _: Writer, session: Writing, row: LockedBuildingInPath, number: UnitNumber
) -> None:
    """Delete a unit. Dwellings that name it stay."""
    await service.remove_unit(session, row, number)
