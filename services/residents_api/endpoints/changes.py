"""`/v1/change-requests`: what somebody wants changed of a resident, and deciding on it."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.common.access import Permission
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.preconditions import etag
from services.common.problems import AreaForbidden, PreconditionFailed
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    LockedResidentInPath,
    Now,
    RegisterSealer,
    Today,
    locked_resident_in_path,
)
from services.residents_api.errors import (
    ChangeConflict,
    ChangeDecided,
    ChangeNotFound,
    ChangeOfOwn,
    ChangePending,
    NumberTaken,
    ResidentNotActive,
    ResidentNotFound,
)
from services.residents_api.models import ChangeRequest, Resident
from services.residents_api.repository import changes as repository
from services.residents_api.schemas.changes import (
    Approval,
    ChangeRequestCreate,
    ChangeRequestPage,
    ChangeRequestRead,
    ChangeReveal,
    ChangeRevealed,
    ChangeState,
)
from services.residents_api.schemas.housing import Rejection
from services.residents_api.schemas.people import ResidentRead
from services.residents_api.service import accesses
from services.residents_api.service import changes as service
from services.residents_api.service.people import showing

router = APIRouter(prefix="/v1", tags=["change-requests"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]
Reviewer = Annotated[Caller, requires(Permission.RESIDENTS_REVIEW)]
Revealer = Annotated[Caller, requires(Permission.RESIDENTS_REVEAL)]
Self = Annotated[Caller, requires(Permission.RESIDENTS_OWN)]

_REFUSES = refuses(
    ResidentNotFound,
    ResidentNotActive,
    PreconditionFailed,
    ChangeConflict,
    ChangePending,
    NumberTaken,
)


@router.get("/me/resident", tags=["residents"], responses=refuses(ResidentNotFound))
async def show_own_record(
    caller: Self, session: Reading, sealer: RegisterSealer, response: Response
) -> ResidentRead:
    """Your own record, masked: what the register says of you, and in which version."""
    row = await session.get(Resident, caller.resident_id) if caller.resident_id else None
    if row is None:
        raise ResidentNotFound()
    response.headers["ETag"] = etag(row.version)
    return (await showing.masked(session, sealer, [row]))[0]


@router.post("/me/change-requests", status_code=201, responses=_REFUSES)
async def ask_to_change_own_record(
    caller: Self,
    session: Writing,
    sealer: RegisterSealer,
    wanted: ChangeRequestCreate,
    now: Now,
    on: Today,
    response: Response,
) -> ChangeRequestRead:
    """Correct your own record: phones, education, occupation and employer at once, the rest after a
    community worker has looked at it. What somebody changed since the version that you have read
    comes back in `conflicts`, and nothing is changed.
    """
    row = None
    if caller.resident_id is not None:
        row = await session.get(Resident, caller.resident_id, with_for_update=True)
    if row is None:
        raise ResidentNotFound()
    request = await service.create(
        session, sealer, row, wanted, caller=caller, is_own=True, now=now, today=on
    )
    response.headers["Location"] = "/v1/me/change-requests"
    return (await service.shown(session, sealer, [(request, row)], today=on))[0]


@router.get("/me/change-requests")
async def list_own_change_requests(
    caller: Self, session: Reading, sealer: RegisterSealer, page: PageInQuery, on: Today
) -> ChangeRequestPage:
    """What you have asked for, and what has become of it."""
    if caller.resident_id is None:
        return ChangeRequestPage(items=[], next_page_token=None)
    rows, token = await repository.of_resident(
        session, caller.resident_id, requested_by=caller.sub, page=page
    )
    items = await service.shown(session, sealer, [(row[0], row[1]) for row in rows], today=on)
    return ChangeRequestPage(items=items, next_page_token=token)


@router.post("/residents/{resident_id}/change-requests", status_code=201, responses=_REFUSES)
async def ask_to_change_resident(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: ChangeRequestCreate,
    now: Now,
    on: Today,
    response: Response,
) -> ChangeRequestRead:
    """Correct a resident's record from where they live. What a grid worker may not change alone
    waits for a community worker; what somebody changed meanwhile comes back in `conflicts`.
    """
    request = await service.create(
        session, sealer, row, wanted, caller=caller, is_own=False, now=now, today=on
    )
    response.headers["Location"] = f"/v1/change-requests/{request.id}"
    return (await service.shown(session, sealer, [(request, row)], today=on))[0]


@router.get("/change-requests", responses=refuses(AreaForbidden))
async def list_change_requests(
    _: Writer,
    session: Reading,
    sealer: RegisterSealer,
    areas: AreasInQuery,
    page: PageInQuery,
    on: Today,
    state: Annotated[ChangeState, Query()] = ChangeState.PENDING,
) -> ChangeRequestPage:
    """Requests about residents of an area, oldest first; by default those that wait."""
    rows, token = await repository.worklist(
        session, within=areas, state=state.value, on=on, page=page
    )
    items = await service.shown(session, sealer, [(row[0], row[1]) for row in rows], today=on)
    return ChangeRequestPage(items=items, next_page_token=token)


@router.get("/change-requests/{request_id}", responses=refuses(ChangeNotFound))
async def show_change_request(
    caller: Writer, session: Reading, sealer: RegisterSealer, request_id: UUID, on: Today
) -> ChangeRequestRead:
    """One request, masked, with what it conflicts with by now."""
    pair = await _seen(session, request_id, caller=caller, on=on)
    return (await service.shown(session, sealer, [pair], today=on))[0]


@router.post(
    "/change-requests/{request_id}/approve",
    responses=refuses(
        ChangeNotFound, ChangeDecided, ChangeOfOwn, ChangeConflict, ResidentNotActive, NumberTaken
    ),
)
async def approve_change_request(
    caller: Reviewer,
    session: Writing,
    sealer: RegisterSealer,
    request_id: UUID,
    wanted: Approval,
    now: Now,
    on: Today,
) -> ChangeRequestRead:
    """Apply what was asked for. Nobody approves what they asked for, or what is about themselves;
    what somebody changed meanwhile is not overwritten.
    """
    request, row = await _locked(session, request_id, caller=caller, on=on)
    await service.approve(
        session, sealer, request, row, reason=wanted.reason, caller=caller, now=now, today=on
    )
    return (await service.shown(session, sealer, [(request, row)], today=on))[0]


@router.post(
    "/change-requests/{request_id}/reject",
    responses=refuses(ChangeNotFound, ChangeDecided, ChangeOfOwn),
)
async def reject_change_request(
    caller: Reviewer,
    session: Writing,
    sealer: RegisterSealer,
    request_id: UUID,
    wanted: Rejection,
    now: Now,
    on: Today,
) -> ChangeRequestRead:
    """Leave the record as it is; the reason is shown to who asked."""
    request, row = await _locked(session, request_id, caller=caller, on=on)
    await service.reject(session, request, reason=wanted.reason, caller=caller, now=now)
    return (await service.shown(session, sealer, [(request, row)], today=on))[0]


@router.post("/change-requests/{request_id}/reveal", responses=refuses(ChangeNotFound))
@secret
async def reveal_change_request(
    request: Request,
    caller: Revealer,
    session: Writing,
    sealer: RegisterSealer,
    request_id: UUID,
    wanted: ChangeReveal,
    now: Now,
    on: Today,
    response: Response,
) -> ChangeRevealed:
    """What is asked for in plain, to be compared with a document. Leaves an audit row."""
    found = await repository.locked(session, request_id)
    record = partial(
        accesses.record,
        sealer=sealer,
        caller=caller,
        act="reveal",
        purpose=wanted.purpose,
        fields=[f"change_request.{name}" for name in found.fields] if found else [],
        now=now,
    )
    try:
        found, row = await _seen(session, request_id, caller=caller, on=on)
    except ChangeNotFound:
        # That somebody tried outlives the refusal.
        if found is not None:
            sessions: Sessions = request.state.sessions
            async with sessions.write() as audit:
                await record(audit, resident_ids=[found.resident_id], outcome="refused")
        raise
    await record(session, resident_ids=[row.id], outcome="granted")
    response.headers["Cache-Control"] = "no-store"
    return ChangeRevealed(id=found.id, changes=service.opened(sealer, found))


async def _seen(
    session: ReadSession, request_id: UUID, *, caller: Caller, on: Today
) -> tuple[ChangeRequest, Resident]:
    """A request about a resident within the caller's areas. Raises ChangeNotFound."""
    found = await repository.seen(session, request_id, within=caller.areas, on=on)
    if found is None:
        raise ChangeNotFound()
    return found[0], found[1]


async def _locked(
    session: WriteSession, request_id: UUID, *, caller: Caller, on: Today
) -> tuple[ChangeRequest, Resident]:
    """The same, both locked, the resident first. Raises ChangeNotFound."""
    seen, _ = await _seen(session, request_id, caller=caller, on=on)
    try:
        row = await locked_resident_in_path(seen.resident_id, session, caller, on)
    except ResidentNotFound:
        raise ChangeNotFound() from None
    request = await repository.locked(session, request_id)
    if request is None:
        raise ChangeNotFound()
    await session.refresh(row)
    return request, row
