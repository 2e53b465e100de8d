"""`/v1/tag-assignments`: who bears which tag."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.common import clock as common_clock
from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, late_transaction
from services.common.security import Caller, requires
from services.tagging_api.dependencies import AreasInQuery, CurrentClock, Followers, OwnSessions
from services.tagging_api.errors import TagArchived, TagUnknown
from services.tagging_api.repository import assignments as repository
from services.tagging_api.schemas.assignments import (
    TagAssignmentPage,
    TagAssignmentsEnd,
    TagAssignmentsEnded,
    TagAssignmentsMade,
    TagAssignmentsWrite,
)
from services.tagging_api.schemas.tags import TagCode
from services.tagging_api.service import assignments as service
from services.tagging_api.service import tag_access

router = APIRouter(prefix="/v1", tags=["tags"], route_class=UnitOfWorkRoute)

TagReader = Annotated[Caller, requires(Permission.TAGS_READ)]
AssignmentWriter = Annotated[Caller, requires(Permission.TAG_ASSIGNMENTS_WRITE)]


@router.get("/tag-assignments", responses=refuses(AreaForbidden))
async def list_tag_assignments(
    caller: TagReader,
    session: Reading,
    areas: AreasInQuery,
    clock: CurrentClock,
    page: PageInQuery,
    resident_id: UUID | None = None,
    tag: Annotated[TagCode | None, Query()] = None,
    ended: Annotated[bool, Query(description="Those that are over as well.")] = False,
) -> TagAssignmentPage:
    """Assignments of residents in your areas, of one resident or of one tag: one for each source.

    Tags that you may not see are left out: those of the highest sensitivity need a permission of
    their own. Notes are for those who may give tags; of another's account the end is shown.
    """
    rows = await repository.page(
        session,
        tag=tag,
        resident_id=resident_id,
        ended_too=ended,
        shown=tag_access.shown(caller),
        within=areas,
        on=common_clock.today(clock),
        page=page,
    )
    items, token = cut(rows, page, keys=lambda row: (row.resident_id, row.tag_code, row.source))
    return TagAssignmentPage(
        items=[service.shown(row, caller) for row in items], next_page_token=token
    )


@router.post("/tag-assignments", responses=refuses(TagUnknown, TagArchived))
@late_transaction  # no file, but a wait for the register before the first statement
async def assign_tag(
    caller: AssignmentWriter,
    session: Writing,
    asked: TagAssignmentsWrite,
    clock: CurrentClock,
    followers: Followers,
    sessions: OwnSessions,
) -> TagAssignmentsMade:
    """Give a tag to up to 1,000 residents, for ever or for a time. Whoever bears it keeps it.

    Residents outside your areas are among those not found. One who was registered a moment ago
    is waited for, up to a second.
    """
    await service.await_residents(sessions, followers, asked.resident_ids)
    return await service.assign(session, asked, caller=caller, clock=clock)


@router.delete("/tag-assignments", responses=refuses(TagUnknown))
async def unassign_tag(
    caller: AssignmentWriter, session: Writing, asked: TagAssignmentsEnd, clock: CurrentClock
) -> TagAssignmentsEnded:
    """Take a tag off up to 1,000 residents. A ledger that says the same again does not undo it.

    What a rule gives stays: it follows the data.
    """
    return await service.remove(session, asked, caller=caller, clock=clock)
