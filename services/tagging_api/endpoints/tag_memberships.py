"""`/v1/tags/{code}/membership-events`: who has come under the rule of a tag, and who has left it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from services.common import clock as common_clock
from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.tagging_api.dependencies import AreasInQuery, CurrentClock, TagInPath
from services.tagging_api.errors import TagNotFound
from services.tagging_api.repository import tag_memberships as repository
from services.tagging_api.schemas.tag_memberships import (
    TagMembershipEventPage,
    TagMembershipEventRead,
)

router = APIRouter(prefix="/v1", tags=["tags"], route_class=UnitOfWorkRoute)


@router.get("/tags/{code}/membership-events", responses=refuses(TagNotFound, AreaForbidden))
async def list_tag_membership_events(
    _: Annotated[Caller, requires(Permission.TAGS_READ)],
    tag: TagInPath,
    session: Reading,
    areas: AreasInQuery,
    clock: CurrentClock,
    page: PageInQuery,
    since: Annotated[
        AwareDatetime | None, Query(description="Only what was found at that instant or later.")
    ] = None,
) -> TagMembershipEventPage:
    """Residents who came under the rule of a tag or left it, in the order in which it was found.

    Those of your areas, and those who live nowhere any more and are kept on file there.
    """
    today = common_clock.today(clock)
    rows = await repository.page(session, tag.code, since=since, within=areas, on=today, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.at.isoformat(), row.resident_id, row.n))
    return TagMembershipEventPage(
        items=[
            TagMembershipEventRead.model_validate(
                {
                    "id": row.id,
                    "tag": row.tag_code,
                    "resident_id": row.resident_id,
                    "kind": row.kind,
                    "cause": row.cause,
                    "day": row.day,
                    "at": row.at,
                }
            )
            for row in items
        ],
        next_page_token=token,
    )
