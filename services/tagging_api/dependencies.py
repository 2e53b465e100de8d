"""What endpoints are handed: clock, followers, the caller's areas, rows by path, or a refusal."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from starlette.requests import Request

from services.common.access import Permission
from services.common.areas import Area, AreaKind
from services.common.clock import Clock
from services.common.database import Sessions
from services.common.projection import Follower
from services.common.routing import Reading
from services.common.schemas import AreaCode
from services.common.security import CurrentCaller
from services.tagging_api import errors
from services.tagging_api.models import Campaign, Tag
from services.tagging_api.repository import campaigns, residents, tags
from services.tagging_api.schemas.tags import Sensitivity, TagCode


def clock(request: Request) -> Clock:
    found: Clock = request.state.clock
    return found


def followers(request: Request) -> Sequence[Follower]:
    found: Sequence[Follower] = request.state.followers
    return found


def sessions(request: Request) -> Sessions:
    found: Sessions = request.state.sessions
    return found


CurrentClock = Annotated[Clock, Depends(clock)]
Followers = Annotated[Sequence[Follower], Depends(followers)]
# For what must happen outside of the request's own transaction.
OwnSessions = Annotated[Sessions, Depends(sessions)]

AreaQuery = Annotated[
    AreaCode | None,
    Query(description="Only what lies in this area; by default all of the caller's areas."),
]


async def areas_in_query(
    session: Reading, caller: CurrentCaller, area: AreaQuery = None
) -> tuple[Area, ...]:
    """The areas to list. Refuses an area outside the caller's."""
    village = None
    if area is not None and Area.parse(area).kind is AreaKind.COMPOUND:
        compound_id = UUID(area)
        village = (await residents.villages_of_compounds(session, [compound_id])).get(compound_id)
    return caller.narrowed(area, village_code=village)


AreasInQuery = Annotated[tuple[Area, ...], Depends(areas_in_query)]


async def tag_in_path(
    session: Reading, caller: CurrentCaller, code: Annotated[TagCode, Path()]
) -> Tag:
    """The tag, as it stands; one of the highest sensitivity only for those who may see it."""
    tag = (await tags.by_codes(session, [code])).get(code)
    if tag is None or hidden(tag, caller):
        raise errors.TagNotFound()
    return tag


def hidden(tag: Tag, caller: CurrentCaller) -> bool:
    return tag.sensitivity == Sensitivity.HIGHEST and not caller.may(Permission.TAGS_HIGHEST)


TagInPath = Annotated[Tag, Depends(tag_in_path)]


async def campaign_in_path(session: Reading, caller: CurrentCaller, campaign_id: UUID) -> Campaign:
    """The campaign, if the caller is responsible for all areas of its creator."""
    campaign = await campaigns.visible(session, campaign_id, within=caller.areas)
    if campaign is None:
        raise errors.CampaignNotFound()
    return campaign


CampaignInPath = Annotated[Campaign, Depends(campaign_in_path)]
