"""`/v1/occupancies`: who lives where."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.common.access import Permission
from services.common.database import ReadSession
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    AsOfInQuery,
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
    BuildingDemolished,
    DwellingNotFound,
    OccupancyDecided,
    OccupancyNotFound,
    ResidentMerged,
    ResidentNotActive,
    ResidentNotFound,
    TwoHeads,
)
from services.residents_api.models import Occupancy
from services.residents_api.repository import housing as repository
from services.residents_api.repository import people
from services.residents_api.schemas.housing import (
    OccupancyCreate,
    OccupancyEnd,
    OccupancyPage,
    OccupancyRead,
    OccupancyState,
    OccupancyUpdate,
    Rejection,
)
from services.residents_api.service import housing as service

router = APIRouter(prefix="/v1", route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]
Reviewer = Annotated[Caller, requires(Permission.RESIDENTS_REVIEW)]


@router.get(
    "/dwellings/{dwelling_id}/occupancies",
    tags=["occupancies"],
    responses=refuses(DwellingNotFound),
)
async def list_occupancies_of_dwelling(
    _: Reader,
    session: Reading,
    dwelling: DwellingInPath,
    as_of: AsOfInQuery,
    page: PageInQuery,
    on: Today,
) -> OccupancyPage:
    """Who lives in a dwelling, who did, and who is to be reviewed; with `as_of`, as was known then."""
    if as_of is not None:
        rows, token = await repository.occupancies_of_dwelling_as_of(
            session, dwelling.id, until=as_of.until, page=page
        )
        return OccupancyPage(items=[read_of(row, as_of.day) for row in rows], next_page_token=token)
    rows, token = await repository.occupancies(
        session, Occupancy.dwelling_id == dwelling.id, page=page
    )
    return OccupancyPage(items=[read_of(row, on) for row in rows], next_page_token=token)


@router.get(
    "/residents/{resident_id}/occupancies",
    tags=["occupancies"],
    responses=refuses(ResidentNotFound, ResidentMerged),
)
async def list_occupancies_of_resident(
    _: Reader,
    session: Reading,
    resident: ResidentInPath,
    as_of: AsOfInQuery,
    page: PageInQuery,
    on: Today,
) -> OccupancyPage:
    """Where a resident lives and lived; with `as_of`, as was known then."""
    if as_of is not None:
        rows, token = await repository.occupancies_of_resident_as_of(
            session, resident.id, until=as_of.until, page=page
        )
        return OccupancyPage(items=[read_of(row, as_of.day) for row in rows], next_page_token=token)
    rows, token = await repository.occupancies(
        session, Occupancy.resident_id == resident.id, page=page
    )
    return OccupancyPage(items=[read_of(row, on) for row in rows], next_page_token=token)


@router.post(
    "/occupancies",
    tags=["occupancies"],
    status_code=201,
    responses=refuses(
        ResidentNotFound,
        ResidentMerged,
        DwellingNotFound,
        AlreadyLivesThere,
        BuildingDemolished,
        ResidentNotActive,
        TwoHeads,
    ),
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
    return read_of(row, on)


@router.get("/occupancies", tags=["occupancies"], responses=refuses(AreaForbidden))
async def list_occupancies(
    _: Reader,
    session: Reading,
    areas: AreasInQuery,
    page: PageInQuery,
    on: Today,
    state: Annotated[OccupancyState | None, Query()] = None,
) -> OccupancyPage:
    """Occupancies of an area, by village; `state=pending` lists those that wait for a review, of its
    dwellings and of its residents.
    """
    rows, token = await repository.worklist(session, within=areas, state=state, on=on, page=page)
    return OccupancyPage(items=[read_of(row, on) for row in rows], next_page_token=token)


@router.patch(
    "/occupancies/{occupancy_id}",
    tags=["occupancies"],
    responses=refuses(
        OccupancyNotFound, AlreadyEnded, TwoHeads, PreconditionFailed, PreconditionRequired
    ),
)
async def update_occupancy(
    caller: Writer,
    session: Writing,
    occupancy_id: UUID,
    version: IfMatch,
    wanted: OccupancyUpdate,
    now: Now,
    on: Today,
    response: Response,
) -> OccupancyRead:
    """Change tenure, relation to the head or the end of the lease. `If-Match` and `ETag` are the
    resident's, for where somebody lives is part of their record.
    """
    row = await repository.occupancy_seen(session, occupancy_id, within=caller.areas)
    if row is None:
        raise OccupancyNotFound()
    now_at = await service.update(session, row, wanted, version=version, now=now, today=on)
    response.headers["ETag"] = etag(now_at)
    return read_of(row, on)


@router.post(
    "/occupancies/{occupancy_id}/approve",
    tags=["occupancies"],
    responses=refuses(
        OccupancyNotFound,
        OccupancyDecided,
        ResidentNotActive,
        BuildingDemolished,
        TwoHeads,
        AreaForbidden,
    ),
)
async def approve_occupancy(
    caller: Reviewer, session: Writing, occupancy_id: UUID, now: Now, on: Today
) -> OccupancyRead:
    """Confirm that a resident lives where another area's ledger says. It takes somebody whose areas
    contain the resident: who has the dwelling alone cannot confirm it to themselves.
    """
    row = await _to_decide(session, occupancy_id, caller=caller, on=on)
    seen = await people.resident(session, row.resident_id, within=caller.areas, on=on)
    if seen is None:
        raise AreaForbidden()
    return read_of(await service.approve(session, row, now=now, today=on), on)


@router.post(
    "/occupancies/{occupancy_id}/reject",
    tags=["occupancies"],
    responses=refuses(OccupancyNotFound, OccupancyDecided),
)
async def reject_occupancy(
    caller: Reviewer, session: Writing, occupancy_id: UUID, wanted: Rejection, on: Today
) -> OccupancyRead:
    """Say that a resident does not live there. The ledger that said so is not asked about again."""
    row = await _to_decide(session, occupancy_id, caller=caller, on=on)
    return read_of(await service.reject(session, row, reason=wanted.reason, today=on), on)


async def _to_decide(
    session: ReadSession, occupancy_id: UUID, *, caller: Caller, on: Today
) -> Occupancy:
    found = await repository.concerning(session, occupancy_id, within=caller.areas, on=on)
    if found is None:
        raise OccupancyNotFound()
    return found


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
    return read_of(row, on)


def read_of(row: Occupancy, on: Today) -> OccupancyRead:
    """An occupancy as it is on a day."""
    values = {name: getattr(row, name) for name in OccupancyRead.model_fields if name != "state"}
    return OccupancyRead.model_validate(values | {"state": service.state(row, today=on)})
