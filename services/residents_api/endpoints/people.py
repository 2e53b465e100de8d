"""`/v1/residents`."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.common.access import Permission
from services.common.database import Sessions
from services.common.errors import refuses
from services.common.pagination import PageInQuery, PageRequest
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    LockedResidentInPath,
    Now,
    RegisterSealer,
    ResidentInPath,
    Today,
    areas_of,
    locked_resident_in_path,
)
from services.residents_api.errors import NumberTaken, ResidentNotFound
from services.residents_api.models import Resident
from services.residents_api.repository import people as repository
from services.residents_api.schemas.people import (
    AccessPage,
    ResidentCreate,
    ResidentPage,
    ResidentRead,
    ResidentRevealed,
    ResidentSearch,
    ResidentUpdate,
    RevealRequest,
)
from services.residents_api.service import people as service

router = APIRouter(prefix="/v1/residents", tags=["residents"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]
Revealer = Annotated[Caller, requires(Permission.RESIDENTS_REVEAL)]
Auditor = Annotated[Caller, requires(Permission.ACCESSES_READ)]


@router.get("", responses=refuses(AreaForbidden))
async def list_residents(
    _: Reader,
    session: Reading,
    sealer: RegisterSealer,
    areas: AreasInQuery,
    page: PageInQuery,
    on: Today,
) -> ResidentPage:
    """Residents of an area, masked, ordered by village: who lives there, and who lives nowhere
    known and is kept on file there.
    """
    rows, token = await repository.residents_in(session, within=areas, on=on, page=page)
    items = await service.masked(session, sealer, rows)
    return ResidentPage(items=items, next_page_token=token)


@router.post("", status_code=201, responses=refuses(AreaForbidden, NumberTaken))
async def register_resident(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    wanted: ResidentCreate,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Register a person. The answer is masked."""
    row = await service.register(session, sealer, wanted, caller=caller, now=now, today=on)
    response.headers["Location"] = f"/v1/residents/{row.id}"
    response.headers["ETag"] = etag(row.version)
    return (await service.masked(session, sealer, [row]))[0]


@router.post("/search", responses=refuses(AreaForbidden))
async def search_residents(
    request: Request,
    caller: Reader,
    session: Reading,
    sealer: RegisterSealer,
    wanted: ResidentSearch,
    now: Now,
    on: Today,
) -> ResidentPage:
    """Find residents by name, pinyin, initials, identity number or phone.

    A POST, because names and numbers never stand in a URL. Looking somebody up by number or phone
    leaves an audit row.
    """
    terms = service.wanted(
        sealer,
        name=wanted.name,
        pinyin=wanted.pinyin,
        id_number=wanted.id_number,
        phone=wanted.phone,
        today=on,
    )
    rows, token = await repository.search(
        session,
        terms,
        within=await areas_of(session, caller, wanted.area),
        on=on,
        page=PageRequest(size=wanted.page_size, token=wanted.page_token, pointer="/page_token"),
    )
    exact = [name for name in ("id_number", "phone") if getattr(wanted, name) is not None]
    if exact and rows:
        sessions: Sessions = request.state.sessions
        async with sessions.write() as audit:
            await service.record_access(
                audit,
                resident_ids=[row.id for row in rows],
                caller=caller,
                act="look_up",
                purpose="",
                fields=exact,
                outcome="granted",
                now=now,
            )
    items = await service.masked(session, sealer, rows)
    return ResidentPage(items=items, next_page_token=token)


@router.get("/{resident_id}", responses=refuses(ResidentNotFound))
async def show_resident(
    _: Reader, session: Reading, sealer: RegisterSealer, row: ResidentInPath, response: Response
) -> ResidentRead:
    """One resident, masked. The `ETag` is what an update must present."""
    response.headers["ETag"] = etag(row.version)
    return (await service.masked(session, sealer, [row]))[0]


@router.patch(
    "/{resident_id}",
    responses=refuses(ResidentNotFound, NumberTaken, PreconditionFailed, PreconditionRequired),
)
async def update_resident(
    _: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    version: IfMatch,
    wanted: ResidentUpdate,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Change the fields that are present."""
    row = await service.update(session, sealer, row, wanted, version=version, now=now, today=on)
    response.headers["ETag"] = etag(row.version)
    return (await service.masked(session, sealer, [row]))[0]


@router.post("/{resident_id}/reveal", responses=refuses(ResidentNotFound))
@secret
async def reveal_resident(
    request: Request,
    resident_id: UUID,
    caller: Revealer,
    session: Writing,
    sealer: RegisterSealer,
    wanted: RevealRequest,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRevealed:
    """Plain values, for a purpose. Leaves an audit row, in the same transaction."""
    record = partial(
        service.record_access,
        resident_ids=[resident_id],
        caller=caller,
        act="reveal",
        purpose=wanted.purpose,
        fields=[field.value for field in wanted.fields],
        now=now,
    )
    try:
        row = await locked_resident_in_path(resident_id, session, caller, on)
    except ResidentNotFound:
        # That somebody tried outlives the refusal.
        sessions: Sessions = request.state.sessions
        async with sessions.write() as audit:
            if await audit.get(Resident, resident_id) is not None:
                await record(audit, outcome="refused")
        raise
    await record(session, outcome="granted")
    response.headers["Cache-Control"] = "no-store"
    return await service.reveal(session, sealer, row, wanted.fields)


@router.get("/{resident_id}/accesses", responses=refuses(ResidentNotFound))
async def list_accesses(
    _: Auditor, session: Reading, row: ResidentInPath, page: PageInQuery
) -> AccessPage:
    """Who read plain values of this person, and what for."""
    rows, token = await repository.accesses(session, row.id, page=page)
    return AccessPage.model_validate({"items": rows, "next_page_token": token})
