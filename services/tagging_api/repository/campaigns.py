"""Campaigns and their deliveries."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from services.common import areas as common_areas
from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.rules import Rule
from services.tagging_api.models import Campaign, CampaignArea, Delivery, Resident
from services.tagging_api.repository import audiences
from services.tagging_api.schemas.campaigns import CampaignState
from services.tagging_api.schemas.messages import SubjectType

# Who is too young is never reached by targeting.
YOUNGEST = 14

_DELIVER = sa.text("""
WITH waiting AS (
    SELECT resident_id FROM delivery
    WHERE campaign_id = :campaign_id AND delivered_at IS NULL
    ORDER BY resident_id LIMIT :at_most
), delivered AS (
    UPDATE delivery d SET delivered_at = :at FROM waiting w
    WHERE d.resident_id = w.resident_id AND d.campaign_id = :campaign_id
    RETURNING d.resident_id
), written AS (
    INSERT INTO message (
        resident_id, cause_id, title, body, topic, subject_type, subject_id, created_at
    )
    SELECT d.resident_id, c.id, c.title, c.body, c.topic, :subject_type, c.id, :at
    FROM delivered d CROSS JOIN campaign c WHERE c.id = :campaign_id
    ON CONFLICT (resident_id, cause_id) DO NOTHING
)
SELECT count(*) FROM delivered
""").bindparams(
    sa.bindparam("campaign_id", type_=sa.Uuid),
    sa.bindparam("at_most", type_=sa.Integer),
    sa.bindparam("at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("subject_type", value=SubjectType.CAMPAIGN.value, type_=sa.Text),
)


def _visible(areas: Sequence[Area]) -> ColumnElement[bool]:
    """Whoever is responsible for all areas of its creator sees a campaign."""
    inside = common_areas.within(
        areas,
        division=CampaignArea.division_code,
        grid=CampaignArea.grid_code,
        compound=CampaignArea.compound_id,
    )
    outside = sa.exists().where(CampaignArea.campaign_id == Campaign.id, inside.is_not(True))
    return sa.not_(outside)


async def page(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> Sequence[Campaign]:
    """Campaigns of the areas, newest first."""
    statement = pagination.keyset(
        sa.select(Campaign).where(_visible(within)),
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


async def claim(session: WriteSession, *, but: Sequence[UUID] = ()) -> Campaign | None:
    """A campaign to work on until the end of the transaction, which nobody else works on."""
    return await session.scalar(
        sa.select(Campaign)
        .where(Campaign.state == CampaignState.SENDING, Campaign.id.not_in(but))
        .order_by(Campaign.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


async def take_audience(
    session: WriteSession, campaign_id: UUID, rule: Rule, *, areas: Sequence[Area], on: date
) -> int:
    """Write down who is to receive the campaign; how many that are."""
    audience = sa.select(Resident.id, sa.literal(campaign_id, sa.Uuid)).where(
        audiences.belongs(rule, areas, on), audiences.of_age(YOUNGEST, on)
    )
    taken = sa.insert(Delivery).from_select(["resident_id", "campaign_id"], audience)
    written = taken.returning(sa.literal(1)).cte("written")
    return await session.scalar(sa.select(sa.func.count()).select_from(written)) or 0


async def deliver(session: WriteSession, campaign_id: UUID, *, at_most: int, at: datetime) -> int:
    """Put the message into the inboxes of the next recipients; how many those are."""
    found = await session.scalar(
        _DELIVER, {"campaign_id": campaign_id, "at_most": at_most, "at": at}
    )
    return found or 0
