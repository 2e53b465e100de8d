"""How a campaign is doing."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.common.clock import Clock
from services.common.database import ReadSession
from services.tagging_api.domain.campaigns import CampaignState, DeliveryState
from services.tagging_api.models import Campaign
from services.tagging_api.repository import tallies as repository
from services.tagging_api.repository.tallies import Tally
from services.tagging_api.schemas.campaigns import CampaignDetail, CampaignRead
from services.tagging_api.service.campaigns.sending import quiet_hours
from services.tagging_api.settings import CampaignSettings

_TROUBLED = {DeliveryState.FAILED, DeliveryState.DEAD, DeliveryState.UNKNOWN}


async def detail(
    session: ReadSession, campaign: Campaign, *, clock: Clock, settings: CampaignSettings
) -> CampaignDetail:
    """A campaign with everything that is counted of it, at this moment."""
    tallies = await repository.tallies(session, campaign.id)
    read, clicked = await repository.inbox_counts(session, campaign.id)
    shown = {name: getattr(campaign, name) for name in CampaignRead.model_fields}
    waits = (
        campaign.state == CampaignState.SENDING
        and not campaign.emergency
        and not settings.quiet_channels.isdisjoint(campaign.channels)
    )
    return CampaignDetail.model_validate(
        {
            **shown,
            "read": read,
            "clicked": clicked,
            "failed": sum(each.count for each in tallies if each.state in _TROUBLED),
            "skipped": _skipped(tallies),
            "by_channel": [_of_channel(channel, tallies) for channel in campaign.channels],
            "deferred_until": quiet_hours(settings).ends(clock.now()) if waits else None,
        }
    )


def _skipped(tallies: Sequence[Tally]) -> list[Mapping[str, Any]]:
    """A resident is skipped on every channel at once: the channel with the most has them all."""
    most: dict[str, int] = {}
    for each in tallies:
        if each.reason is not None:
            most[each.reason] = max(most.get(each.reason, 0), each.count)
    return [{"reason": reason, "count": count} for reason, count in sorted(most.items())]


def _of_channel(channel: str, tallies: Sequence[Tally]) -> Mapping[str, Any]:
    counts = dict.fromkeys((state.value for state in DeliveryState), 0)
    for each in tallies:
        if each.channel == channel:
            counts[each.state] += each.count
    return {"channel": channel, **counts}
