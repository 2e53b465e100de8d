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
from services.tagging_api.clients.register import Register
from services.tagging_api.models import Audience, Campaign, Survey, Tag, WebhookEndpoint
from services.tagging_api.repository import (
    campaigns,
    residents,
    saved_audiences,
    surveys,
    tags,
    webhooks,
)
from services.tagging_api.schemas.tags import TagCode
from services.tagging_api.service import tag_access
from services.tagging_api.service.targeting import Targeting
from services.tagging_api.settings import Settings


def clock(request: Request) -> Clock:
    found: Clock = request.state.clock
    return found


def followers(request: Request) -> Sequence[Follower]:
    found: Sequence[Follower] = request.state.followers
    return found


def sessions(request: Request) -> Sessions:
    found: Sessions = request.state.sessions
    return found


def targeting(request: Request) -> Targeting:
    found: Targeting = request.state.targeting
    return found


def register(request: Request) -> Register:
    found: Register = request.state.register
    return found


def settings(request: Request) -> Settings:
    found: Settings = request.state.settings
    return found


CurrentClock = Annotated[Clock, Depends(clock)]
CurrentSettings = Annotated[Settings, Depends(settings)]
Followers = Annotated[Sequence[Follower], Depends(followers)]
CurrentTargeting = Annotated[Targeting, Depends(targeting)]
CurrentRegister = Annotated[Register, Depends(register)]
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
    """The tag, as it stands, for those who may see it."""
    tag = (await tags.by_codes(session, [code])).get(code)
    if tag is None or not tag_access.sees(caller, tag):
        raise errors.TagNotFound()
    return tag


TagInPath = Annotated[Tag, Depends(tag_in_path)]


async def campaign_in_path(session: Reading, caller: CurrentCaller, campaign_id: UUID) -> Campaign:
    """The campaign, if the caller is responsible for all areas of its creator."""
    campaign = await campaigns.visible(session, campaign_id, within=caller.areas)
    if campaign is None:
        raise errors.CampaignNotFound()
    return campaign


CampaignInPath = Annotated[Campaign, Depends(campaign_in_path)]


async def webhook_endpoint_in_path(
    session: Reading, caller: CurrentCaller, endpoint_id: UUID
) -> WebhookEndpoint:
    """The endpoint, if the caller is responsible for all areas of its creator."""
    endpoint = await webhooks.visible(session, endpoint_id, within=caller.areas)
    if endpoint is None:
        raise errors.WebhookEndpointNotFound()
    return endpoint


WebhookEndpointInPath = Annotated[WebhookEndpoint, Depends(webhook_endpoint_in_path)]


async def survey_in_path(session: Reading, caller: CurrentCaller, survey_id: UUID) -> Survey:
    """The survey, if the caller is responsible for all areas of its creator.

    One of an audience of the highest sensitivity only for those with the permission for it.
    """
    survey = await surveys.visible(
        session,
        survey_id,
        within=caller.areas,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
    )
    if survey is None:
        raise errors.SurveyNotFound()
    return survey


SurveyInPath = Annotated[Survey, Depends(survey_in_path)]


async def audience_in_path(session: Reading, caller: CurrentCaller, audience_id: UUID) -> Audience:
    """The saved audience, if the caller is responsible for all areas of its creator.

    One with tags of the highest sensitivity only for those with the permission for them.
    """
    audience = await saved_audiences.by_id(
        session,
        audience_id,
        within=caller.areas,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
    )
    if audience is None:
        raise errors.AudienceNotFound()
    return audience


AudienceInPath = Annotated[Audience, Depends(audience_in_path)]
