"""`/v1/campaigns`: one message to everyone a rule finds."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CampaignInPath, CurrentClock
from services.tagging_api.errors import (
    CampaignAlreadySent,
    CampaignNotFound,
    SensitiveRule,
    SensitiveRuleNow,
    TagUnclassified,
    TagUnknown,
)
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.schemas.campaigns import CampaignCreate, CampaignPage, CampaignRead
from services.tagging_api.service import campaigns as service

router = APIRouter(prefix="/v1", tags=["campaigns"], route_class=UnitOfWorkRoute)

CampaignWriter = Annotated[Caller, requires(Permission.CAMPAIGNS_WRITE)]


@router.get("/campaigns")
async def list_campaigns(
    caller: CampaignWriter, session: Reading, page: PageInQuery
) -> CampaignPage:
    """Campaigns of your areas, newest first."""
    rows = await repository.page(session, within=caller.areas, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return CampaignPage.model_validate({"items": items, "next_page_token": token})


@router.post(
    "/campaigns",
    status_code=201,
    responses=refuses(AreaForbidden, TagUnknown, TagUnclassified, SensitiveRule),
)
async def create_campaign(
    caller: CampaignWriter,
    session: Writing,
    asked: CampaignCreate,
    clock: CurrentClock,
    response: Response,
) -> CampaignRead:
    """A draft: nothing is sent yet. A rule with a tag of the highest sensitivity is refused."""
    campaign = await service.create(session, asked, caller=caller, clock=clock)
    response.headers["Location"] = f"/v1/campaigns/{campaign.id}"
    return CampaignRead.model_validate(campaign)


@router.get("/campaigns/{campaign_id}", responses=refuses(CampaignNotFound))
async def read_campaign(_: CampaignWriter, campaign: CampaignInPath) -> CampaignRead:
    """A campaign and how far its delivery is."""
    return CampaignRead.model_validate(campaign)


@router.post(
    "/campaigns/{campaign_id}/send",
    status_code=202,
    responses=refuses(
        CampaignNotFound, CampaignAlreadySent, SensitiveRuleNow, TagUnknown, TagUnclassified
    ),
)
async def send_campaign(
    _: CampaignWriter, session: Writing, campaign: CampaignInPath, response: Response
) -> CampaignRead:
    """Send a draft: one message to each member of the audience aged 14 or over, today.

    The audience lies within the areas of whoever wrote the campaign.
    """
    sent = await service.send(session, campaign.id)
    response.headers["Location"] = f"/v1/campaigns/{sent.id}"
    return CampaignRead.model_validate(sent)
