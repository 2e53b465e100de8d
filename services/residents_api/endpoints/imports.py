"""`/v1/imports`: ledgers (台账) into the register."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile

from services.common.access import Permission
from services.common.areas import Place
from services.common.database import Sessions
from services.common.errors import refuses
from services.common.identifiers import new_id
from services.common.pagination import PageInQuery
from services.common.problems import AreaForbidden, RequestInvalid, Text
from services.common.routing import Reading, UnitOfWorkRoute, Writing, uploads
from services.common.schemas import VillageCode
from services.common.security import Caller, requires
from services.residents_api.dependencies import ImportInPath, Now
from services.residents_api.errors import ImportFinished, ImportNotFound
from services.residents_api.models import Division
from services.residents_api.repository import imports as repository
from services.residents_api.schemas.imports import (
    ImportPage,
    ImportRead,
    ImportRowPage,
    RowOutcome,
)
from services.residents_api.service import imports as service
from services.residents_api.service.ledger.keeping import LedgerStore

router = APIRouter(prefix="/v1/imports", tags=["imports"], route_class=UnitOfWorkRoute)

Importer = Annotated[Caller, requires(Permission.RESIDENTS_IMPORT)]


@router.post("", status_code=202, responses=refuses(AreaForbidden))
@uploads
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
    # The file is on disk before the transaction opens: storing it takes long.
    file_key = await store.keep(import_id, content)
    try:
        job = await service.ask(
            session,
            import_id=import_id,
            file_key=file_key,
            village_code=village_code,
            dry_run=dry_run,
            importer=caller.sub,
            importer_areas=[area.code for area in caller.areas],
        )
    except BaseException:
        # A file that no import names would be kept for ever.
        await store.delete(file_key)
        raise
    response.headers["Location"] = f"/v1/imports/{job.id}"
    return ImportRead.model_validate(job)


@router.get("")
async def list_imports(caller: Importer, session: Reading, page: PageInQuery) -> ImportPage:
    """Imports into the caller's areas, newest first."""
    rows, token = await repository.imports(session, within=caller.areas, page=page)
    return ImportPage.model_validate({"items": rows, "next_page_token": token})


@router.get("/{import_id}", responses=refuses(ImportNotFound))
async def show_import(_: Importer, job: ImportInPath) -> ImportRead:
    """How far an import is, and what came of it."""
    return ImportRead.model_validate(job)


@router.get("/{import_id}/rows", responses=refuses(ImportNotFound))
async def list_import_rows(
    _: Importer,
    session: Reading,
    job: ImportInPath,
    page: PageInQuery,
    outcome: RowOutcome | None = None,
    has_codes: Annotated[
        bool | None, Query(description="Only rows with codes, or only rows without.")
    ] = None,
) -> ImportRowPage:
    """What became of each row. Nothing personal but what is masked."""
    rows, token = await repository.rows(
        session, job.id, outcome=outcome, has_codes=has_codes, page=page
    )
    return ImportRowPage.model_validate({"items": rows, "next_page_token": token})


@router.post(
    "/{import_id}/cancel", status_code=202, responses=refuses(ImportNotFound, ImportFinished)
)
async def cancel_import(_: Importer, session: Writing, job: ImportInPath, now: Now) -> ImportRead:
    """Stop an import after the batch under way. What is merged already stays."""
    return ImportRead.model_validate(await service.cancel(session, job, now=now))
