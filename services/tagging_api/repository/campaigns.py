"""Campaigns: as they are listed, and as senders take turns at them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import undefer

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.campaigns import CampaignState
from services.tagging_api.models import Campaign, CampaignArea
from services.tagging_api.repository import ownership


def _visible(areas: Sequence[Area]) -> ColumnElement[bool]:
    its_own = CampaignArea.campaign_id == Campaign.id
    return ownership.visible(CampaignArea, its_own, areas=areas)


async def page(
    session: ReadSession,
    *,
    within: Sequence[Area],
    state: CampaignState | None,
    page: PageRequest,
) -> Sequence[Campaign]:
    """Campaigns of the areas, newest first."""
    statement = sa.select(Campaign).where(_visible(within))
    if state is not None:
        statement = statement.where(Campaign.state == state)
    statement = pagination.keyset(
        statement,
        Campaign.id,
        after=page.after(tuple[UUID]),
        size=page.size,
        descending=True,
    )
    return (await session.scalars(statement)).all()


async def visible(
    session: ReadSession, campaign_id: UUID, *, within: Sequence[Area]
) -> Campaign | None:
    return await session.scalar(
        sa.select(Campaign).where(Campaign.id == campaign_id, _visible(within))
    )


async def locked(session: WriteSession, campaign_id: UUID) -> Campaign:
    """The campaign as it stands now, whoever waited for it before."""
    return (
        await session.scalars(
            sa.select(Campaign)
            .where(Campaign.id == campaign_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def claim(
    session: WriteSession, *, now: datetime, quiet: Sequence[str], but: Sequence[UUID] = ()
) -> Campaign | None:
    """A campaign to work on until the end of the transaction, which nobody else works on.

    It is due, or has recipients that are not handed over yet; unless one of the `quiet` channels
    is among its own, and it is no emergency.
    """
    due = sa.and_(Campaign.state == CampaignState.SCHEDULED, Campaign.scheduled_at <= now)
    under_way = sa.and_(Campaign.state == CampaignState.SENDING, sa.not_(Campaign.handed_over))
    statement = (
        sa.select(Campaign)
        .options(undefer(Campaign.audience))
        .where(sa.or_(due, under_way), Campaign.id.not_in(but))
        .order_by(Campaign.emergency.desc(), Campaign.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if quiet:
        told = sa.literal(list(quiet), ARRAY(sa.Text))
        statement = statement.where(
            sa.or_(Campaign.emergency, sa.not_(Campaign.channels.op("&&")(told)))
        )
    return await session.scalar(statement)
