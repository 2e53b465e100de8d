"""`/v1/exports`: ledgers (台账) out of the register."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import StreamingResponse

from services.common.access import Permission
from services.common.areas import Area, AreaKind
from services.common.clock import Clock
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, CurrentCaller, requires
from services.residents_api.dependencies import areas_of
from services.residents_api.errors import (
    ApproverIsRequester,
    ExportNotFound,
    ExportNotWaiting,
    ExportNotYours,
    ExportUnavailable,
)
from services.residents_api.models import LedgerExport
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import exports as repository
from services.residents_api.schemas.exports import (
    ExportCreate,
    ExportFormat,
    ExportPage,
    ExportRead,
)
from services.residents_api.service import exports as service
from services.residents_api.service.exports import Exporter
from services.residents_api.service.ledger.outcomes import pieces

router = APIRouter(prefix="/v1/exports", tags=["exports"], route_class=UnitOfWorkRoute)

Keeper = Annotated[Caller, requires(Permission.RESIDENTS_EXPORT)]

_MEDIA_TYPES = {
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.CSV: "text/csv; charset=utf-8",
}


async def export_in_path(export_id: UUID, session: Reading, caller: CurrentCaller) -> LedgerExport:
    found = await session.get(LedgerExport, export_id)
    if found is None or not caller.sees(service.place(found)):
        raise ExportNotFound()
    return found


ExportInPath = Annotated[LedgerExport, Depends(export_in_path)]


@router.post("", status_code=202, responses=refuses(AreaForbidden))
async def export_ledger(
    request: Request, caller: Keeper, session: Writing, wanted: ExportCreate, response: Response
) -> ExportRead:
    """Export who lives in an area as a ledger, which can be imported again. Answers at once; ask the
    `Location` how far it is.

    Above a number of residents it waits until a second person has approved it. Who is in the file
    finds the export among the accesses to their data.
    """
    areas = await areas_of(session, caller, wanted.area)
    asked = Area.parse(wanted.area)
    village = None
    if asked.kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(asked.code))
    clock: Clock = request.state.clock
    job = await service.ask(
        session,
        wanted,
        areas=areas,
        village_code=village,
        approval_over=request.state.export_approval_over,
        caller=caller,
        clock=clock,
    )
    response.headers["Location"] = f"/v1/exports/{job.id}"
    return ExportRead.model_validate(job)


@router.get("")
async def list_exports(caller: Keeper, session: Reading, page: PageInQuery) -> ExportPage:
    """Exports of the caller's areas, newest first; those that wait for approval among them."""
    rows, token = await repository.exports(session, within=caller.areas, page=page)
    return ExportPage.model_validate({"items": rows, "next_page_token": token})


@router.get("/{export_id}", responses=refuses(ExportNotFound))
async def show_export(_: Keeper, job: ExportInPath) -> ExportRead:
    """How far an export is."""
    return ExportRead.model_validate(job)


@router.post(
    "/{export_id}/approve",
    responses=refuses(ExportNotFound, ApproverIsRequester, ExportNotWaiting),
)
async def approve_export(caller: Keeper, session: Writing, job: ExportInPath) -> ExportRead:
    """Approve somebody else's export of many residents. Whoever asked for it cannot."""
    return ExportRead.model_validate(await service.approve(session, job, caller))


@router.get(
    "/{export_id}/file",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The ledger.",
            "content": {
                media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                for media_type in _MEDIA_TYPES.values()
            },
        },
        **refuses(ExportNotFound, ExportNotYours, ExportUnavailable),
    },
)
@secret
async def read_export_file(request: Request, caller: Keeper, job: ExportInPath) -> Response:
    """The file, for whoever asked for it, for a day. It holds plain values."""
    if job.requester != caller.sub:
        raise ExportNotYours()
    exporter: Exporter = request.state.exporter
    file = await exporter.file(job, caller)
    headers = {
        "Content-Disposition": f'attachment; filename="ledger-{job.id}.{job.format}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    media_type = _MEDIA_TYPES[ExportFormat(job.format)]
    return StreamingResponse(pieces(file), media_type=media_type, headers=headers)
