"""`/v1/residents/{id}/deceased`, `/moved-out` and `/reactivate`."""

from typing import Annotated

from fastapi import APIRouter, Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.preconditions import etag
from services.common.routing import UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import LockedResidentInPath, Now, RegisterSealer, Today
from services.residents_api.errors import (
    ResidentMerged,
    ResidentNotActive,
    ResidentNotFound,
    ResidentNotGone,
)
from services.residents_api.schemas.people import (
    Death,
    MovingOut,
    ResidentRead,
    ResidentState,
)
from services.residents_api.service.people import departing, showing

router = APIRouter(prefix="/v1/residents", tags=["residents"], route_class=UnitOfWorkRoute)

Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]


@router.post(
    "/{resident_id}/deceased",
    responses=refuses(ResidentNotFound, ResidentMerged, ResidentNotActive),
)
async def mark_deceased(
    _: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: Death,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Somebody has died: their occupancies end on that day."""
    row = await departing.depart(
        session,
        row,
        ResidentState.DECEASED,
        day=wanted.date,
        destination=None,
        now=now,
        today=on,
    )
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


@router.post(
    "/{resident_id}/moved-out",
    responses=refuses(ResidentNotFound, ResidentMerged, ResidentNotActive),
)
async def mark_moved_out(
    _: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: MovingOut,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Somebody has left for good, to where this register does not reach: their occupancies end."""
    row = await departing.depart(
        session,
        row,
        ResidentState.MOVED_OUT,
        day=wanted.date,
        destination=wanted.destination,
        now=now,
        today=on,
    )
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


@router.post(
    "/{resident_id}/reactivate",
    responses=refuses(ResidentNotFound, ResidentMerged, ResidentNotGone),
)
async def reactivate_resident(
    _: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Somebody is back, or was never gone. Where they live has to be said anew."""
    row = await departing.reactivate(session, row, now=now, today=on)
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]
