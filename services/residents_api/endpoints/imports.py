"""`/v1/imports`: ledgers (台账) into the register."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.sse import EventSourceResponse
from starlette.responses import StreamingResponse

from services.common.access import Permission
from services.common.areas import Place
from services.common.database import Sessions
from services.common.errors import language, refuses
from services.common.identifiers import new_id
from services.common.pagination import PageInQuery
from services.common.problems import AreaForbidden, RequestInvalid, Text
from services.common.routing import (
    Reading,
    UnitOfWorkRoute,
    Writing,
    late_transaction,
    secret,
)
from services.common.schemas import VillageCode
from services.common.security import Caller, requires
from services.residents_api.dependencies import ImportInPath, Now, RegisterSealer
from services.residents_api.errors import (
    DivisionEnded,
    ImportFinished,
    ImportNotFound,
    ImportUnfinished,
    OutcomeUnavailable,
)
from services.residents_api.models import Division, LedgerImport
from services.residents_api.repository import imports as repository
from services.residents_api.schemas.imports import (
    ImportPage,
    ImportProgress,
    ImportRead,
    ImportRowPage,
    RowEffect,
    RowOutcome,
)
from services.residents_api.service import areas
from services.residents_api.service import imports as service
from services.residents_api.service.ledger.failures import sentence
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.ledger.outcomes import pieces

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

router = APIRouter(prefix="/v1/imports", tags=["imports"], route_class=UnitOfWorkRoute)

Importer = Annotated[Caller, requires(Permission.RESIDENTS_IMPORT)]


@router.post("", status_code=202, responses=refuses(AreaForbidden, DivisionEnded))
@late_transaction
async def import_ledger(
    request: Request,
    caller: Importer,
    session: Writing,
    file: Annotated[UploadFile, File(description="XLSX, XLS or CSV (UTF-8 or GB18030).")],
    village_code: Annotated[VillageCode, Form()],
    response: Response,
    dry_run: Annotated[bool, Form(description="Check and count everything, keep nothing.")] = False,
) -> ImportRead:
    """Import a ledger of one village. Answers at once; ask the `Location` how far it is."""
    if not caller.sees(Place(village_code)):
        raise AreaForbidden()
    sessions: Sessions = request.state.sessions
    async with sessions.read() as looking:
        if await looking.get(Division, village_code) is None:
            raise RequestInvalid.at(
                "/village_code", "division.unknown", Text("没有这个村（社区）", "No such village")
            )
    content = await file.read()
    if not content:
        raise RequestInvalid.at("/file", "file.empty", Text("文件为空", "The file is empty"))
    import_id = new_id()
    store: LedgerStore = request.state.store
    # The file is on disk before the transaction opens: storing it takes long. Whether an import
    # names it in the end, only the commit says: strays are swept up later.
    file_key = await store.keep(import_id, content)
    # Until the commit no other division can succeed the village.
    await areas.current_village(session, village_code)
    job = await service.ask(
        session,
        import_id=import_id,
        file_key=file_key,
        village_code=village_code,
        dry_run=dry_run,
        importer=caller.sub,
        importer_areas=[area.code for area in caller.areas],
    )
    response.headers["Location"] = f"/v1/imports/{job.id}"
    return _shown(request, job)


@router.get("")
async def list_imports(
    request: Request, caller: Importer, session: Reading, page: PageInQuery
) -> ImportPage:
    """Imports into the caller's areas, newest first."""
    rows, token = await repository.imports(session, within=caller.areas, page=page)
    return ImportPage(items=[_shown(request, row) for row in rows], next_page_token=token)


@router.get("/{import_id}", responses=refuses(ImportNotFound))
async def show_import(request: Request, _: Importer, job: ImportInPath) -> ImportRead:
    """How far an import is, and what came of it."""
    return _shown(request, job)


@router.get("/{import_id}/rows", responses=refuses(ImportNotFound))
async def list_import_rows(
    _: Importer,
    session: Reading,
    job: ImportInPath,
    page: PageInQuery,
    outcome: RowOutcome | None = None,
    effect: RowEffect | None = None,
    has_codes: Annotated[
        bool | None, Query(description="Only rows with codes, or only rows without.")
    ] = None,
) -> ImportRowPage:
    """What became of each row; of a dry run, what would. Nothing personal but what is masked."""
    rows, token = await repository.rows(
        session, job, outcome=outcome, effect=effect, has_codes=has_codes, page=page
    )
    return ImportRowPage(items=[service.shown_row(job, row) for row in rows], next_page_token=token)


@router.get(
    "/{import_id}/outcome",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The workbook.",
            "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}},
        },
        **refuses(ImportNotFound, ImportUnfinished, OutcomeUnavailable),
    },
)
@secret
async def read_import_outcome(
    request: Request, caller: Importer, job: ImportInPath, sealer: RegisterSealer, now: Now
) -> Response:
    """The ledger as it was sent, with what became of each row and with the faulty cells marked: to
    be corrected and imported again. That somebody took it stands in the audit.
    """
    file = await service.outcome(
        request.state.sessions,
        request.state.store,
        sealer,
        job,
        caller=caller,
        language=language(request),
        now=now,
    )
    headers = {
        "Content-Disposition": f'attachment; filename="import-{job.id}.xlsx"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces(file), media_type=XLSX, headers=headers)


@router.get(
    "/{import_id}/events",
    response_class=EventSourceResponse,
    responses=refuses(ImportNotFound),
)
async def follow_import(
    request: Request, _: Importer, job: ImportInPath
) -> AsyncIterator[ImportProgress]:
    """How far an import is, as server-sent events, until it has ended.

    After some minutes the stream ends all the same: who wants to know more asks again. So does an
    `EventSource` by itself: close it at `ended`.
    """
    sessions: Sessions = request.state.sessions
    async for now in service.followed(sessions, job.id):
        yield ImportProgress(
            phase=service.phase(now),
            rows_done=now.rows_done,
            rows_total=now.rows_total,
            job=_shown(request, now),
        )


@router.post(
    "/{import_id}/cancel", status_code=202, responses=refuses(ImportNotFound, ImportFinished)
)
async def cancel_import(
    request: Request, _: Importer, session: Writing, job: ImportInPath, now: Now
) -> ImportRead:
    """Stop an import after the batch under way. What is merged already stays."""
    return _shown(request, await service.cancel(session, job, now=now))


def _shown(request: Request, job: LedgerImport) -> ImportRead:
    detail = sentence(job.failure)
    shown = ImportRead.model_validate(job)
    return shown.model_copy(
        update={"failure_detail": detail.in_language(language(request)) if detail else None}
    )
