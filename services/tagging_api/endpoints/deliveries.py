"""`/v1/campaigns/{id}/deliveries`: what became of a campaign, one recipient after another."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CampaignInPath, CurrentClock
from services.tagging_api.domain.campaigns import Channel, DeliveryState, SkipReason
from services.tagging_api.errors import CampaignNotFound, CampaignStateConflict
from services.tagging_api.repository import tallies as repository
from services.tagging_api.schemas.campaigns import DeliveryPage, Resent
from services.tagging_api.service.campaigns import deciding

router = APIRouter(prefix="/v1", tags=["campaigns"], route_class=UnitOfWorkRoute)

CampaignWriter = Annotated[Caller, requires(Permission.CAMPAIGNS_WRITE)]


@router.get("/campaigns/{campaign_id}/deliveries", responses=refuses(CampaignNotFound))
async def list_deliveries(
    _: CampaignWriter,
    session: Reading,
    campaign: CampaignInPath,
    page: PageInQuery,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state.")] = None,
    channel: Annotated[Channel | None, Query(description="Only those on this channel.")] = None,
    reason: Annotated[SkipReason | None, Query(description="Only those skipped for it.")] = None,
) -> DeliveryPage:
    """Deliveries of a campaign, as far as it has got: by resident id, and of broadcasts by area."""
    rows = await repository.page(
        session, campaign.id, state=state, channel=channel, reason=reason, page=page
    )
    items, token = cut(rows, page, keys=lambda row: (row.id, row.channel))
    return DeliveryPage.model_validate({"items": items, "next_page_token": token})


@router.post(
    "/campaigns/{campaign_id}/deliveries/resend",
    status_code=202,
    responses=refuses(CampaignNotFound, CampaignStateConflict),
)
async def resend_deliveries(
    _: CampaignWriter, session: Writing, campaign: CampaignInPath, clock: CurrentClock
) -> Resent:
    """Try every dead delivery of a campaign once more.

    Those in doubt (`unknown`) are left alone: nobody is told twice.
    """
    return Resent(resent=await deciding.resend(session, campaign.id, clock=clock))
