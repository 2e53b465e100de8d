"""`/v1/campaigns`: one message to everyone a rule finds."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    CampaignInPath,
    CurrentClock,
    CurrentSettings,
    CurrentTargeting,
)
from services.tagging_api.domain.campaigns import CampaignState, Channel
from services.tagging_api.errors import (
    RULE_REFUSALS,
    CampaignAlreadySent,
    CampaignNotDraft,
    CampaignNotFound,
    CampaignNotYours,
    CampaignRuleUnreadable,
    CampaignStateConflict,
    ChannelUnavailable,
    SensitiveRule,
    SensitiveRuleNow,
    TopicReserved,
    WebhookEndpointUnknown,
)
from services.tagging_api.models import Campaign
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.schemas.campaigns import (
    CampaignCreate,
    CampaignDetail,
    CampaignPage,
    CampaignRead,
    CampaignReject,
    CampaignSend,
    CampaignUpdate,
)
from services.tagging_api.service.campaigns import deciding, reporting, writing

router = APIRouter(prefix="/v1", tags=["campaigns"], route_class=UnitOfWorkRoute)

CampaignWriter = Annotated[Caller, requires(Permission.CAMPAIGNS_WRITE)]
CampaignApprover = Annotated[Caller, requires(Permission.CAMPAIGNS_APPROVE)]
_WRITING = (
    AreaForbidden,
    ChannelUnavailable,
    TopicReserved,
    WebhookEndpointUnknown,
    SensitiveRule,
    *RULE_REFUSALS,
)
_STEP = (CampaignNotFound, CampaignStateConflict)


def channels(request: Request) -> Collection[Channel]:
    found: Collection[Channel] = request.state.channels
    return found


Channels = Annotated[Collection[Channel], Depends(channels)]


@router.get("/campaigns")
async def list_campaigns(
    caller: CampaignWriter,
    session: Reading,
    page: PageInQuery,
    state: Annotated[CampaignState | None, Query(description="Only those in this state.")] = None,
) -> CampaignPage:
    """Campaigns of your areas, newest first."""
    rows = await repository.page(session, within=caller.areas, state=state, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return CampaignPage.model_validate({"items": items, "next_page_token": token})


@router.post("/campaigns", status_code=201, responses=refuses(*_WRITING))
async def create_campaign(
    caller: CampaignWriter,
    session: Writing,
    asked: CampaignCreate,
    clock: CurrentClock,
    channels: Channels,
    response: Response,
) -> CampaignRead:
    """A draft: nothing is sent yet. A rule with a tag of the highest sensitivity is refused.

    Its text may hold variables, which are filled in for each resident when it is delivered.
    Residents' names are not among them: they do not leave the register.
    """
    campaign = await writing.create(session, asked, caller=caller, clock=clock, channels=channels)
    response.headers["Location"] = f"/v1/campaigns/{campaign.id}"
    return _shown(campaign, response)


@router.get("/campaigns/{campaign_id}", responses=refuses(CampaignNotFound))
async def read_campaign(
    _: CampaignWriter,
    session: Reading,
    campaign: CampaignInPath,
    clock: CurrentClock,
    settings: CurrentSettings,
    response: Response,
) -> CampaignDetail:
    """A campaign and how far its delivery is, with the `ETag` that an update asks for."""
    response.headers["ETag"] = etag(campaign.version)
    return await reporting.detail(session, campaign, clock=clock, settings=settings.campaigns)


@router.patch(
    "/campaigns/{campaign_id}",
    responses=refuses(
        CampaignNotFound,
        CampaignNotDraft,
        PreconditionFailed,
        PreconditionRequired,
        *_WRITING,
    ),
)
async def update_campaign(
    caller: CampaignWriter,
    session: Writing,
    campaign: CampaignInPath,
    asked: CampaignUpdate,
    version: IfMatch,
    clock: CurrentClock,
    channels: Channels,
    response: Response,
) -> CampaignRead:
    """Change a draft. What is absent stays."""
    changed = await writing.update(
        session,
        campaign,
        asked,
        version=version,
        caller=caller,
        clock=clock,
        channels=channels,
    )
    return _shown(changed, response)


@router.post(
    "/campaigns/{campaign_id}/send",
    status_code=202,
    responses=refuses(
        CampaignNotFound,
        CampaignAlreadySent,
        CampaignRuleUnreadable,
        SensitiveRuleNow,
        *RULE_REFUSALS,
    ),
)
async def send_campaign(
    _: CampaignWriter,
    session: Writing,
    campaign: CampaignInPath,
    clock: CurrentClock,
    targeting: CurrentTargeting,
    settings: CurrentSettings,
    response: Response,
    asked: Annotated[CampaignSend | None, Body()] = None,
) -> CampaignRead:
    """Send a draft, now or at a time: one message to each member of the audience aged 14 or over.

    The audience is taken then, within the areas of whoever wrote the campaign. Above a certain size
    the campaign is `awaiting_approval` first.
    """
    sent = await deciding.send(
        session,
        campaign.id,
        scheduled_at=asked.schedule_at if asked is not None else None,
        targeting=targeting,
        clock=clock,
        approval_above=settings.campaigns.approval_above,
    )
    response.headers["Location"] = f"/v1/campaigns/{sent.id}"
    return _shown(sent, response)


@router.post(
    "/campaigns/{campaign_id}/approve",
    responses=refuses(*_STEP, CampaignNotYours, CampaignRuleUnreadable, SensitiveRuleNow),
)
async def approve_campaign(
    caller: CampaignApprover,
    session: Writing,
    campaign: CampaignInPath,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """Agree that somebody else's campaign goes to so many: it is sent, or scheduled."""
    approved = await deciding.approve(session, campaign.id, caller=caller, clock=clock)
    return _shown(approved, response)


@router.post("/campaigns/{campaign_id}/reject", responses=refuses(*_STEP, CampaignNotYours))
async def reject_campaign(
    caller: CampaignApprover,
    session: Writing,
    campaign: CampaignInPath,
    asked: CampaignReject,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """Give somebody else's campaign back as a draft, and say why."""
    rejected = await deciding.reject(
        session, campaign.id, reason=asked.reason, caller=caller, clock=clock
    )
    return _shown(rejected, response)


@router.post("/campaigns/{campaign_id}/pause", responses=refuses(*_STEP))
async def pause_campaign(
    _: CampaignWriter,
    session: Writing,
    campaign: CampaignInPath,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """Hold a campaign that is being sent. What is just being handed over still goes."""
    return _shown(await deciding.pause(session, campaign.id, clock=clock), response)


@router.post("/campaigns/{campaign_id}/resume", responses=refuses(*_STEP))
async def resume_campaign(
    _: CampaignWriter,
    session: Writing,
    campaign: CampaignInPath,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """Go on with a paused campaign where it was: to the audience that was taken."""
    return _shown(await deciding.resume(session, campaign.id, clock=clock), response)


@router.post("/campaigns/{campaign_id}/cancel", responses=refuses(*_STEP))
async def cancel_campaign(
    _: CampaignWriter,
    session: Writing,
    campaign: CampaignInPath,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """Call off whatever has not left yet, for good."""
    return _shown(await deciding.cancel(session, campaign.id, clock=clock), response)


def _shown(campaign: Campaign, response: Response) -> CampaignRead:
    response.headers["ETag"] = etag(campaign.version)
    return CampaignRead.model_validate(campaign)
