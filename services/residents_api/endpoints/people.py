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
    AsOfInQuery,
    LockedResidentInPath,
    Now,
    RegisterSealer,
    ResidentInPath,
    Today,
    areas_of,
    locked_resident_in_path,
)
from services.residents_api.errors import (
    DivisionEnded,
    FieldNeedsReview,
    NumberTaken,
    ResidentMerged,
    ResidentNotFound,
)
from services.residents_api.models import Resident
from services.residents_api.repository import people as repository
from services.residents_api.schemas.people import (
    ResidentBatch,
    ResidentBatchRead,
    ResidentCreate,
    ResidentPage,
    ResidentRead,
    ResidentRevealed,
    ResidentSearch,
    ResidentUpdate,
    RevealRequest,
)
from services.residents_api.service import accesses, changes
from services.residents_api.service.people import registering, searching, showing, updating

router = APIRouter(prefix="/v1/residents", tags=["residents"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]
Revealer = Annotated[Caller, requires(Permission.RESIDENTS_REVEAL)]


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
    items = await showing.masked(session, sealer, rows)
    return ResidentPage(items=items, next_page_token=token)


@router.post("", status_code=201, responses=refuses(AreaForbidden, DivisionEnded, NumberTaken))
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
    row = await registering.register(session, sealer, wanted, caller=caller, now=now, today=on)
    response.headers["Location"] = f"/v1/residents/{row.id}"
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


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
    leaves an audit row, also if nobody is found.
    """
    terms = searching.wanted(
        sealer,
        name=wanted.name,
        pinyin=wanted.pinyin,
        id_number=wanted.id_number,
        phone=wanted.phone,
        document=wanted.identity_document,
        today=on,
    )
    sessions: Sessions = request.state.sessions
    record = partial(accesses.record_look_up, sessions, sealer, terms, caller=caller, now=now)
    try:
        within = await areas_of(session, caller, wanted.area)
    except AreaForbidden:
        await record(found=())
        raise
    rows, token = await repository.search(
        session,
        terms,
        within=within,
        on=on,
        # What is searched for stays out of the token, which people put into logs and links.
        page=PageRequest(
            of="search", size=wanted.page_size, token=wanted.page_token, pointer="/page_token"
        ),
    )
    await record(found=rows)
    items = await showing.masked(session, sealer, rows)
    return ResidentPage(items=items, next_page_token=token)


@router.post("/batch")
async def read_residents(
    caller: Reader, session: Reading, sealer: RegisterSealer, wanted: ResidentBatch, on: Today
) -> ResidentBatchRead:
    """Up to 100 residents by id, masked. Residents outside your areas are among those not found."""
    ids = list(dict.fromkeys(wanted.resident_ids))
    found = await repository.residents(session, ids, within=caller.areas, on=on)
    rows = [found[each] for each in ids if each in found]
    items = await showing.masked(session, sealer, rows)
    return ResidentBatchRead(items=items, not_found=[each for each in ids if each not in found])


@router.get("/{resident_id}", responses=refuses(ResidentNotFound, ResidentMerged))
async def show_resident(
    _: Reader,
    session: Reading,
    sealer: RegisterSealer,
    row: ResidentInPath,
    as_of: AsOfInQuery,
    response: Response,
) -> ResidentRead:
    """One resident, masked. The `ETag` is what an update must present.

    `as_of` shows the resident as registered then: whoever was not is not found. What was cannot be
    updated, so it has no `ETag`.
    """
    if as_of is not None:
        return await showing.masked_as_of(session, sealer, row, until=as_of.until)
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


@router.patch(
    "/{resident_id}",
    responses=refuses(
        ResidentNotFound,
        ResidentMerged,
        NumberTaken,
        FieldNeedsReview,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def update_resident(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    version: IfMatch,
    wanted: ResidentUpdate,
    now: Now,
    on: Today,
    response: Response,
) -> ResidentRead:
    """Change the fields that are present. For what needs a review there are change requests."""
    changes.refuse_direct(caller, wanted.model_fields_set)
    row = await updating.update(session, sealer, row, wanted, version=version, now=now, today=on)
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


@router.post("/{resident_id}/reveal", responses=refuses(ResidentNotFound, ResidentMerged))
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
        accesses.record,
        sealer=sealer,
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
    return await showing.reveal(session, sealer, row, wanted.fields)
