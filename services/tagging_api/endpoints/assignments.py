"""`/v1/tag-assignments`: who bears which tag."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.common import clock as common_clock
from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, uploads
from services.common.security import Caller, requires
from services.tagging_api.dependencies import AreasInQuery, CurrentClock, Followers, OwnSessions
from services.tagging_api.errors import TagUnknown
from services.tagging_api.repository import assignments as repository
from services.tagging_api.schemas.assignments import (
    TagAssignmentPage,
    TagAssignmentsEnded,
    TagAssignmentsMade,
    TagAssignmentsWrite,
)
from services.tagging_api.schemas.tags import TagCode
from services.tagging_api.service import assignments as service

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
) -> TagAssignmentPage:
    """Assignments of residents in your areas, of one resident or of one tag.

    Tags of the highest sensitivity are shown only to those with the permission for them.
    """
    rows = await repository.page(
        session,
        tag=tag,
        resident_id=resident_id,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        within=areas,
        on=common_clock.today(clock),
        page=page,
    )
    shown, token = cut(rows, page, keys=lambda row: (row.resident_id, row.tag_code))
    items = [
        {
            "resident_id": row.resident_id,
            "tag": row.tag_code,
            "source": row.source,
            "created_at": row.created_at,
        }
        for row in shown
    ]
    return TagAssignmentPage.model_validate({"items": items, "next_page_token": token})


@router.post("/tag-assignments", responses=refuses(TagUnknown))
@uploads  # no file, but a wait for the register before the first statement
async def assign_tag(
    caller: AssignmentWriter,
    session: Writing,
    asked: TagAssignmentsWrite,
    clock: CurrentClock,
    followers: Followers,
    sessions: OwnSessions,
) -> TagAssignmentsMade:
    """Give a tag to up to 1,000 residents. Whoever bears it already keeps it.

    Residents outside your areas are among those not found. One who was registered a moment ago
    is waited for, up to a second.
    """
    await service.await_residents(sessions, followers, asked.resident_ids)
    return await service.assign(session, asked, caller=caller, clock=clock)


@router.delete("/tag-assignments", responses=refuses(TagUnknown))
async def unassign_tag(
    caller: AssignmentWriter, session: Writing, asked: TagAssignmentsWrite, clock: CurrentClock
) -> TagAssignmentsEnded:
    """Take a tag off up to 1,000 residents. A ledger that says the same again does not undo it."""
    return await service.remove(session, asked, caller=caller, clock=clock)
