"""`/v1/divisions` and `/v1/grids`: open to every account, for they name no person."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

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
    DivisionInPath,
    GridInPath,
    LockedDivisionInPath,
    LockedGridInPath,
    Now,
    SuccessionInPath,
    Today,
)
from services.residents_api.errors import (
    DivisionBusy,
    DivisionEnded,
    DivisionNotFound,
    GridEnded,
    GridNotEmpty,
    GridNotFound,
    GridTaken,
    SuccessionNotFound,
)
from services.residents_api.repository import areas as repository
from services.residents_api.schemas.areas import (
    DivisionDetail,
    DivisionPage,
    DivisionRead,
    GridClose,
    GridCreate,
    GridPage,
    GridRead,
    GridUpdate,
    SuccessionCreate,
    SuccessionRead,
)
from services.residents_api.service import areas as service
from services.residents_api.service import succession

router = APIRouter(prefix="/v1", tags=["areas"], route_class=UnitOfWorkRoute)

ReferenceReader = Annotated[Caller, requires(Permission.REFERENCE_READ)]
Writer = Annotated[Caller, requires(Permission.AREAS_WRITE)]
DivisionWriter = Annotated[Caller, requires(Permission.DIVISIONS_WRITE)]


@router.get("/divisions")
async def list_divisions(
    _: ReferenceReader,
    session: Reading,
    page: PageInQuery,
    on: Today,
    parent_code: Annotated[
        str | None, Query(pattern="^[0-9]{2,12}$", examples=["510182104"])
    ] = None,
    former: Annotated[bool, Query(description="Also those that others have succeeded.")] = False,
) -> DivisionPage:
    """Divisions below `parent_code`; without it, the roots of the tree."""
    rows = await repository.divisions(
        session, parent_code=parent_code, on=on, former=former, page=page
    )
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return DivisionPage.model_validate({"items": items, "next_page_token": token})


@router.get("/divisions/{code}", responses=refuses(DivisionNotFound))
async def show_division(
    _: ReferenceReader, session: Reading, row: DivisionInPath
) -> DivisionDetail:
    """One division. A former one answers with what became of it."""
    successors = await repository.successors(session, row.code)
    values = {
        name: getattr(row, name) for name in DivisionDetail.model_fields.keys() - {"successors"}
    }
    return DivisionDetail.model_validate(
        values | {"successors": [DivisionRead.model_validate(found) for found in successors]}
    )


@router.post(
    "/divisions/{code}/succeed",
    status_code=202,
    responses=refuses(DivisionNotFound, AreaForbidden, DivisionEnded, DivisionBusy),
)
async def succeed_division(
    caller: DivisionWriter,
    session: Writing,
    row: LockedDivisionInPath,
    wanted: SuccessionCreate,
    on: Today,
    response: Response,
) -> SuccessionRead:
    """A town or village ends, and others take over: merged, split or renumbered.

    For an officer of the divisions above. Its compounds, grids (with new codes) and buildings
    change hands at once; dwellings and people follow in batches: ask the `Location` how far that
    is. A town's villages get codes of its successor, their own serial where it is free.
    """
    job = await succession.succeed(session, row, wanted, caller=caller, today=on)
    response.headers["Location"] = f"/v1/division-successions/{job.id}"
    return SuccessionRead.model_validate(job)


@router.get("/division-successions/{succession_id}", responses=refuses(SuccessionNotFound))
async def show_division_succession(_: DivisionWriter, job: SuccessionInPath) -> SuccessionRead:
    """How far a succession is."""
    return SuccessionRead.model_validate(job)


@router.get("/grids", responses=refuses(AreaForbidden))
async def list_grids(
    _: ReferenceReader,
    session: Reading,
    areas: AreasInQuery,
    page: PageInQuery,
    on: Today,
    former: Annotated[bool, Query(description="Also those that were closed.")] = False,
) -> GridPage:
    """Grids within an area, by code."""
    rows = await repository.grids(session, within=areas, on=on, former=former, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return GridPage.model_validate({"items": items, "next_page_token": token})


@router.get("/grids/{code}", responses=refuses(GridNotFound))
async def show_grid(_: ReferenceReader, row: GridInPath, response: Response) -> GridRead:
    """One grid, closed ones included. The `ETag` is what an update must present."""
    response.headers["ETag"] = etag(row.version)
    return GridRead.model_validate(row)


@router.post("/grids", status_code=201, responses=refuses(AreaForbidden, DivisionEnded, GridTaken))
async def create_grid(
    caller: Writer, session: Writing, wanted: GridCreate, response: Response
) -> GridRead:
    """A new grid of a village within the caller's areas."""
    if not caller.sees(Place(wanted.village_code)):
        raise AreaForbidden()
    row = await service.create_grid(session, wanted)
    response.headers["Location"] = f"/v1/grids/{row.code}"
    response.headers["ETag"] = etag(row.version)
    return GridRead.model_validate(row)


@router.patch(
    "/grids/{code}",
    responses=refuses(GridNotFound, GridEnded, PreconditionFailed, PreconditionRequired),
)
async def rename_grid(
    _: Writer,
    session: Writing,
    row: LockedGridInPath,
    version: IfMatch,
    wanted: GridUpdate,
    response: Response,
) -> GridRead:
    """Give a grid another name, or none."""
    row = await service.rename_grid(session, row, wanted.name, version=version)
    response.headers["ETag"] = etag(row.version)
    return GridRead.model_validate(row)


@router.post("/grids/{code}/close", responses=refuses(GridNotFound, GridEnded, GridNotEmpty))
async def close_grid(
    _: Writer, session: Writing, row: LockedGridInPath, wanted: GridClose, now: Now, on: Today
) -> GridRead:
    """Close a grid: an empty one, or one whose dwellings another grid of the village takes over."""
    row = await service.close_grid(session, row, wanted, now=now, today=on)
    return GridRead.model_validate(row)
