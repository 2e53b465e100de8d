"""One step in the life of a campaign: checked, noted, and told to neighbours and senders."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError

from services.common import outbox
from services.common.areas import Area
from services.common.database import WriteSession
from services.common.outbox import Event
from services.tagging_api import errors
from services.tagging_api.domain import campaigns as life
from services.tagging_api.domain.campaigns import CampaignState, Step
from services.tagging_api.domain.rules import Rule as Meaning
from services.tagging_api.models import Campaign
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.repository import parcels
from services.tagging_api.schemas.rules import Rule, parsed

# Senders and couriers listen.
CHANNEL = "tagging_api_campaigns"
CAMPAIGN_CHANGED = "cn.shequ.tagging.campaign.changed"


def meaning(campaign: Campaign) -> Meaning:
    """What a campaign's stored rule means. Raises CampaignRuleUnreadable."""
    try:
        return parsed(Rule.model_validate(campaign.rule))
    except ValidationError:
        raise errors.CampaignRuleUnreadable() from None


def areas(campaign: Campaign) -> list[Area]:
    return [Area.parse(code) for code in campaign.areas]


async def take(session: WriteSession, campaign: Campaign, step: Step, *, at: datetime) -> None:
    """Go on to the next state. The campaign is locked. Raises CampaignStateConflict."""
    following = life.after(CampaignState(campaign.state), step)
    if following is None:
        raise errors.CampaignStateConflict()
    campaign.state = following
    campaign.version += 1
    campaign.updated_at = at
    if following is CampaignState.SENT:
        campaign.sent_at = at
    await outbox.emit(session, _changed(campaign))
    if following in {CampaignState.SENDING, CampaignState.SCHEDULED}:
        await wake(session)


async def wake(session: WriteSession) -> None:
    """Have senders and couriers look again once this transaction is committed."""
    await session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


async def finish_if_done(session: WriteSession, campaign: Campaign, *, at: datetime) -> None:
    """A campaign ends when all are handed over and nothing is on its way any more."""
    if (
        campaign.state == CampaignState.SENDING
        and campaign.handed_over
        and not await parcels.any_open(session, campaign.id)
    ):
        await take(session, campaign, Step.FINISH, at=at)


async def stop(session: WriteSession, campaign_id: UUID, *, at: datetime) -> None:
    """Nothing more of it may be sent."""
    campaign = await repository.locked(session, campaign_id)
    if life.after(CampaignState(campaign.state), Step.STOP) is not None:
        await parcels.call_off(session, campaign.id)
        await take(session, campaign, Step.STOP, at=at)


def _changed(campaign: Campaign) -> Event:
    """Counts and states: neither text nor whom it reaches."""
    state = {
        "id": str(campaign.id),
        "version": campaign.version,
        "state": campaign.state,
        "recipients": campaign.recipients,
        "delivered": campaign.delivered,
    }
    return Event(CAMPAIGN_CHANGED, {"campaigns": [state]}, subject=str(campaign.id))
