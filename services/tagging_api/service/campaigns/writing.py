"""Writing a campaign, and changing it while it is a draft."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic import ValidationError

from services.common.access import Permission
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.errors import field_error
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import AreaForbidden, RequestInvalid
from services.common.security import Caller, check
from services.tagging_api import errors
from services.tagging_api.domain.campaigns import CampaignState, Channel
from services.tagging_api.models import Campaign, CampaignArea
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.repository import inbox, ownership, webhooks
from services.tagging_api.schemas.campaigns import CampaignCreate, CampaignUpdate
from services.tagging_api.schemas.rules import parsed
from services.tagging_api.service import rules

_STAY = (
    "title",
    "body",
    "topic",
    "channels",
    "webhook_endpoint_id",
    "emergency",
    "holdout_percent",
)


async def create(
    session: WriteSession,
    asked: CampaignCreate,
    *,
    caller: Caller,
    clock: Clock,
    channels: Collection[Channel],
) -> Campaign:
    """File a draft. `channels` are those set up here.

    Raises AreaForbidden, RoleForbidden, ChannelUnavailable, TopicReserved, WebhookEndpointUnknown,
    AudienceUnknown, TagUnknown, TagUnclassified or SensitiveRule.
    """
    if not caller.areas:
        raise AreaForbidden()
    await _check(session, asked, caller=caller, channels=channels)
    campaign = Campaign(
        id=new_id(),
        state=CampaignState.DRAFT,
        version=1,
        areas=[area.code for area in caller.areas],
        created_by=caller.sub,
        created_at=clock.now(),
        updated_at=clock.now(),
        delivered=0,
    )
    _write(campaign, asked)
    session.add(campaign)
    session.add_all(
        CampaignArea(
            campaign_id=campaign.id,
            n=n,
            division_code=place.division_code,
            grid_code=place.grid_code,
            compound_id=place.compound_id,
        )
        for n, place in enumerate(await ownership.places(session, caller.areas))
    )
    await session.flush()
    await session.refresh(campaign)
    return campaign


async def update(
    session: WriteSession,
    campaign: Campaign,
    changes: CampaignUpdate,
    *,
    version: int,
    caller: Caller,
    clock: Clock,
    channels: Collection[Channel],
) -> Campaign:
    """Change a draft. Raises CampaignNotDraft, PreconditionFailed, and what `create` does.

    Its areas stay those of whoever wrote it.
    """
    campaign = await repository.locked(session, campaign.id)
    check_version(campaign.version, version)
    if campaign.state != CampaignState.DRAFT:
        raise errors.CampaignNotDraft()
    asked = _changed(campaign, changes)
    await _check(session, asked, caller=caller, channels=channels)
    _write(campaign, asked)
    campaign.version += 1
    campaign.updated_at = clock.now()
    return campaign


def _changed(campaign: Campaign, changes: CampaignUpdate) -> CampaignCreate:
    """The draft as it is to be. Raises RequestInvalid if its parts do not go together."""
    said = changes.model_dump(mode="json", by_alias=True, exclude_unset=True)
    stays = {name: getattr(campaign, name) for name in _STAY}
    if "audience_id" not in said:
        stays["rule"] = campaign.rule
    try:
        return CampaignCreate.model_validate(stays | said)
    except ValidationError as refused:
        faults = (field_error(cast("Mapping[str, Any]", each)) for each in refused.errors())
        raise RequestInvalid(errors=tuple(faults)) from None


def _write(campaign: Campaign, asked: CampaignCreate) -> None:
    campaign.title, campaign.body, campaign.topic = asked.title, asked.body, asked.topic
    campaign.rule = asked.stored_rule.model_dump(mode="json", by_alias=True)
    campaign.channels = [channel.value for channel in asked.channels]
    campaign.webhook_endpoint_id = asked.webhook_endpoint_id
    campaign.emergency, campaign.holdout_percent = asked.emergency, asked.holdout_percent


async def _check(
    session: WriteSession,
    asked: CampaignCreate,
    *,
    caller: Caller,
    channels: Collection[Channel],
) -> None:
    if asked.emergency:
        check(caller, Permission.CAMPAIGNS_EMERGENCY)
    for n, channel in enumerate(asked.channels):
        if channel not in channels:
            pointer = f"/channels/{n}"
            raise errors.ChannelUnavailable.at(
                pointer, errors.ChannelUnavailable.code, errors.ChannelUnavailable.title
            )
    # A topic that nobody can opt out of is no way around their preferences.
    mandatory = await inbox.mandatory(session, [asked.topic] if asked.topic else [])
    if mandatory and not asked.emergency:
        raise errors.TopicReserved.at(
            "/topic", errors.TopicReserved.code, errors.TopicReserved.title
        )
    if asked.webhook_endpoint_id is not None:
        endpoint = await webhooks.visible(session, asked.webhook_endpoint_id, within=caller.areas)
        if endpoint is None or endpoint.disabled_at is not None:
            problem = errors.WebhookEndpointUnknown
            raise problem.at("/webhook_endpoint_id", problem.code, problem.title)
    rule = parsed(asked.stored_rule)
    await rules.check_sendable(session, rule, caller=caller)
    await rules.resolved(session, rule, areas=caller.areas)
