"""`/v1/duplicates` and `/v1/merges`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import AreasInQuery, Now, RegisterSealer, Today
from services.residents_api.errors import (
    DuplicateDecided,
    DuplicateNotFound,
    MergeNotFound,
    MergeNotUndoable,
    MergeWaits,
    SurvivorGone,
)
from services.residents_api.models import DuplicateCandidate, ResidentMerge
from services.residents_api.repository import duplicates as repository
from services.residents_api.repository import people, statistics
from services.residents_api.schemas.duplicates import (
    DuplicatePage,
    DuplicateRead,
    DuplicateState,
    MergeCreate,
    MergeRead,
    ScanAccepted,
)
from services.residents_api.service import duplicates as service
from services.residents_api.service import merging

router = APIRouter(prefix="/v1", tags=["duplicates"], route_class=UnitOfWorkRoute)

Reviewer = Annotated[Caller, requires(Permission.RESIDENTS_REVIEW)]
StateAsked = Annotated[DuplicateState, Query(description="Which pairs.")]


@router.get("/duplicates", responses=refuses(AreaForbidden))
async def list_duplicates(
    caller: Reviewer,
    session: Reading,
    sealer: RegisterSealer,
    areas: AreasInQuery,
    page: PageInQuery,
    on: Today,
    state: StateAsked = DuplicateState.OPEN,
) -> DuplicatePage:
    """Pairs of residents who may be one, masked, the most alike first: pairs of an area, both of
    whom are yours to see.
    """
    rows, token = await repository.candidates(
        session, mine=caller.areas, within=areas, state=state.value, on=on, page=page
    )
    ids = {each for row in rows for each in (row.resident_id, row.other_id)}
    residents = await people.residents(session, ids, within=caller.areas, on=on) if ids else {}
    items = await service.shown(session, sealer, rows, residents)
    return DuplicatePage(items=items, next_page_token=token)


@router.post("/duplicates/scan", status_code=202, responses=refuses(AreaForbidden))
async def scan_duplicates(_: Reviewer, session: Writing, areas: AreasInQuery) -> ScanAccepted:
    """Have all residents of the villages of an area compared again, in the background."""
    villages = await statistics.villages_within(session, areas)
    await repository.queue(session, villages)
    return ScanAccepted(villages=len(villages))


async def _candidate(
    session: Writing, caller: Caller, duplicate_id: UUID, on: Today
) -> DuplicateCandidate:
    found = await repository.candidate(session, duplicate_id, within=caller.areas, on=on)
    if found is None:
        raise DuplicateNotFound()
    return found


@router.post(
    "/duplicates/{duplicate_id}/dismiss",
    responses=refuses(DuplicateNotFound, DuplicateDecided),
)
async def dismiss_duplicate(
    caller: Reviewer,
    session: Writing,
    sealer: RegisterSealer,
    duplicate_id: UUID,
    now: Now,
    on: Today,
) -> DuplicateRead:
    """They are two people: the pair does not come back."""
    row = await _candidate(session, caller, duplicate_id, on)
    merging.dismiss(row, caller=caller, now=now)
    await session.flush()
    ids = (row.resident_id, row.other_id)
    residents = await people.residents(session, ids, within=caller.areas, on=on)
    return (await service.shown(session, sealer, [row], residents))[0]


@router.post(
    "/duplicates/{duplicate_id}/merge",
    status_code=201,
    responses=refuses(DuplicateNotFound, DuplicateDecided, MergeWaits, SurvivorGone),
)
async def merge_duplicate(
    caller: Reviewer,
    session: Writing,
    duplicate_id: UUID,
    wanted: MergeCreate,
    now: Now,
    on: Today,
    response: Response,
) -> MergeRead:
    """They are one person: the survivor gets everything that was the other's. It can be undone."""
    candidate = await _candidate(session, caller, duplicate_id, on)
    row = await merging.merge(session, candidate, wanted, caller=caller, now=now, today=on)
    response.headers["Location"] = f"/v1/merges/{row.id}"
    return _shown(row)


@router.get("/merges/{merge_id}", responses=refuses(MergeNotFound))
async def show_merge(caller: Reviewer, session: Reading, merge_id: UUID, on: Today) -> MergeRead:
    """Who was merged into whom."""
    return _shown(await merging.seen(session, merge_id, caller=caller, today=on))


@router.post("/merges/{merge_id}/undo", responses=refuses(MergeNotFound, MergeNotUndoable))
async def undo_merge(
    caller: Reviewer, session: Writing, merge_id: UUID, now: Now, on: Today
) -> MergeRead:
    """Make two people of one again: each gets back what was theirs and was not changed since."""
    return _shown(await merging.undo(session, merge_id, caller=caller, now=now, today=on))


def _shown(row: ResidentMerge) -> MergeRead:
    return MergeRead(
        id=row.id,
        survivor_id=row.resident_id,
        merged_id=row.merged_id,
        merged_by=row.merged_by,
        merged_at=row.merged_at,
        undone_at=row.undone_at,
    )
