"""Deciding on a campaign: to send it, to agree that it goes to so many, to pause, to call it off."""

from datetime import datetime, timedelta
from uuid import UUID

from services.common import clock as common_clock
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain.campaigns import CampaignState, Step
from services.tagging_api.models import Campaign
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.repository import parcels
from services.tagging_api.service import rules
from services.tagging_api.service.campaigns import steps
from services.tagging_api.service.targeting import Targeting

_FARTHEST = timedelta(days=366)


async def send(
    session: WriteSession,
    campaign_id: UUID,
    *,
    scheduled_at: datetime | None,
    targeting: Targeting,
    clock: Clock,
    approval_above: int,
) -> Campaign:
    """Send a draft off: now, at a time, or once a second person agrees.

    Raises CampaignAlreadySent, CampaignRuleUnreadable, SensitiveRuleNow, RequestInvalid, and what
    resolving its rule does.
    """
    now = clock.now()
    if scheduled_at is not None and scheduled_at > now + _FARTHEST:
        raise RequestInvalid.at(
            "/schedule_at", "schedule.too_far", Text("最多提前一年安排", "At most a year ahead")
        )
    campaign = await repository.locked(session, campaign_id)
    if campaign.state != CampaignState.DRAFT:
        raise errors.CampaignAlreadySent()
    rule = steps.meaning(campaign)
    await rules.check_sendable(session, rule, sensitive=errors.SensitiveRuleNow)
    areas = steps.areas(campaign)
    rule = await rules.resolved(session, rule, areas=areas)
    size = await targeting.count(session, rule, areas=areas, on=common_clock.today(clock))
    campaign.scheduled_at = scheduled_at
    campaign.rejected_by = campaign.rejection = None
    if size > approval_above:
        await steps.take(session, campaign, Step.SUBMIT, at=now)
    else:
        await _begin(session, campaign, at=now)
    return campaign


async def approve(
    session: WriteSession, campaign_id: UUID, *, caller: Caller, clock: Clock
) -> Campaign:
    """Agree, and so set it going. Raises CampaignNotYours, CampaignStateConflict, and as `send`."""
    campaign = await _second(session, campaign_id, caller)
    await rules.check_sendable(session, steps.meaning(campaign), sensitive=errors.SensitiveRuleNow)
    campaign.approved_by, campaign.approved_at = caller.sub, clock.now()
    await _begin(session, campaign, at=clock.now())
    return campaign


async def reject(
    session: WriteSession, campaign_id: UUID, *, reason: str, caller: Caller, clock: Clock
) -> Campaign:
    """Give it back as a draft. Raises CampaignNotYours or CampaignStateConflict."""
    campaign = await _second(session, campaign_id, caller)
    campaign.rejected_by, campaign.rejection = caller.sub, reason
    await steps.take(session, campaign, Step.REJECT, at=clock.now())
    return campaign


async def _second(session: WriteSession, campaign_id: UUID, caller: Caller) -> Campaign:
    campaign = await repository.locked(session, campaign_id)
    if campaign.state != CampaignState.AWAITING_APPROVAL:
        raise errors.CampaignStateConflict()
    if campaign.created_by == caller.sub:
        raise errors.CampaignNotYours()
    return campaign


async def _begin(session: WriteSession, campaign: Campaign, *, at: datetime) -> None:
    later = campaign.scheduled_at is not None and campaign.scheduled_at > at
    await steps.take(session, campaign, Step.SCHEDULE if later else Step.BEGIN, at=at)


async def pause(session: WriteSession, campaign_id: UUID, *, clock: Clock) -> Campaign:
    """Hold it; what is just being handed over still goes. Raises CampaignStateConflict."""
    return await _taken(session, campaign_id, Step.PAUSE, clock)


async def resume(session: WriteSession, campaign_id: UUID, *, clock: Clock) -> Campaign:
    """Go on where it was paused. Raises CampaignStateConflict."""
    return await _taken(session, campaign_id, Step.RESUME, clock)


async def cancel(session: WriteSession, campaign_id: UUID, *, clock: Clock) -> Campaign:
    """Call off whatever has not left yet, for good. Raises CampaignStateConflict."""
    campaign = await _taken(session, campaign_id, Step.CANCEL, clock)
    await parcels.call_off(session, campaign.id)
    return campaign


async def resend(session: WriteSession, campaign_id: UUID, *, clock: Clock) -> int:
    """Try dead deliveries once more; how many that are. Raises CampaignStateConflict.

    What is in doubt is not: somebody might be told twice.
    """
    campaign = await repository.locked(session, campaign_id)
    if campaign.state == CampaignState.SENT and not await parcels.any_dead(session, campaign.id):
        return 0
    await steps.take(session, campaign, Step.RESEND, at=clock.now())
    return await parcels.revive(session, campaign.id, now=clock.now())


async def _taken(session: WriteSession, campaign_id: UUID, step: Step, clock: Clock) -> Campaign:
    campaign = await repository.locked(session, campaign_id)
    await steps.take(session, campaign, step, at=clock.now())
    return campaign
