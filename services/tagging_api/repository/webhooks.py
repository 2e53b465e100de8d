"""Where webhooks go."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.campaigns import CampaignState
from services.tagging_api.models import Campaign, WebhookEndpoint, WebhookEndpointArea
from services.tagging_api.repository import ownership

_ENDED = (CampaignState.SENT, CampaignState.CANCELLED, CampaignState.STOPPED)


def _visible(areas: Sequence[Area]) -> ColumnElement[bool]:
    its_own = WebhookEndpointArea.endpoint_id == WebhookEndpoint.id
    return ownership.visible(WebhookEndpointArea, its_own, areas=areas)


async def page(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> Sequence[WebhookEndpoint]:
    """Endpoints of the areas, newest first."""
    statement = pagination.keyset(
        sa.select(WebhookEndpoint).where(_visible(within)),
        WebhookEndpoint.id,
        after=page.after(tuple[UUID]),
        size=page.size,
        descending=True,
    )
    return (await session.scalars(statement)).all()


async def visible(
    session: ReadSession, endpoint_id: UUID, *, within: Sequence[Area]
) -> WebhookEndpoint | None:
    return await session.scalar(
        sa.select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, _visible(within))
    )


async def by_id(session: ReadSession, endpoint_id: UUID) -> WebhookEndpoint | None:
    return await session.scalar(sa.select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))


async def in_use(session: ReadSession, endpoint_id: UUID) -> bool:
    """Whether a campaign that has not ended names it."""
    used = sa.exists().where(
        Campaign.webhook_endpoint_id == endpoint_id, Campaign.state.not_in(_ENDED)
    )
    return bool(await session.scalar(sa.select(used)))


async def delete(session: WriteSession, endpoint_id: UUID) -> None:
    await session.execute(
        sa.delete(WebhookEndpointArea).where(WebhookEndpointArea.endpoint_id == endpoint_id)
    )
    await session.execute(sa.delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))


async def disable_of(session: WriteSession, campaign_id: UUID, *, at: datetime) -> None:
    """The endpoint of a campaign said that it is gone."""
    endpoint = (
        sa.select(Campaign.webhook_endpoint_id).where(Campaign.id == campaign_id).scalar_subquery()
    )
    await session.execute(
        sa.update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint, WebhookEndpoint.disabled_at.is_(None))
        .values(disabled_at=at)
    )
