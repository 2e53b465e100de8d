"""Who cannot be reached, and why: as conditions over `resident`, and as numbers for bitmaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy import ColumnElement

from services.common.clock import latest_birth
from services.common.database import ReadSession
from services.tagging_api.domain.campaigns import (
    YOUNGEST,
    CampaignState,
    DeliveryState,
    SkipReason,
)
from services.tagging_api.models import Account, Campaign, Delivery, OptOut, Resident
from services.tagging_api.repository.index import unpacked


@dataclass(frozen=True, slots=True)
class Caps:
    """At most so many campaigns in so many days: of any topic, and of one."""

    days: int
    all_topics: int
    one_topic: int


async def with_account(session: ReadSession) -> BitMap:
    """The numbers of the residents who can sign in; everybody else has no account."""
    return await _numbers(session, has_account())


async def opted_out(session: ReadSession, topic: str) -> BitMap:
    """The numbers of those who do not want to hear of a topic."""
    return await _numbers(session, has_opted_out(topic))


async def frequency_capped(
    session: ReadSession, topic: str | None, *, caps: Caps, now: datetime
) -> BitMap:
    """The numbers of those who have had as many campaigns as anybody is to get."""
    since = now - timedelta(days=caps.days)
    recent = (
        sa.select(
            Delivery.resident_id,
            sa.func.count(sa.distinct(Delivery.campaign_id)).label("all_topics"),
            sa.func.count(sa.distinct(Delivery.campaign_id))
            .filter(Campaign.topic == topic)
            .label("one_topic"),
        )
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(Delivery.state == DeliveryState.DELIVERED, Delivery.delivered_at > since)
        .group_by(Delivery.resident_id)
        .subquery()
    )
    full = sa.select(recent.c.resident_id).where(
        sa.or_(recent.c.all_topics >= caps.all_topics, recent.c.one_topic >= caps.one_topic)
    )
    return await _numbers(session, Resident.id.in_(full))


async def under_age(session: ReadSession, *, on: date) -> BitMap:
    """The numbers of those known to be too young for messages."""
    return await _numbers(session, is_under_age(on))


async def _numbers(session: ReadSession, condition: ColumnElement[bool]) -> BitMap:
    gathered = sa.func.string_agg(
        sa.func.int4send(Resident.number), sa.literal(b""), type_=sa.LargeBinary
    )
    return unpacked(await session.scalar(sa.select(gathered).where(condition)))


def has_account() -> ColumnElement[bool]:
    return sa.exists().where(Account.resident_id == Resident.id, Account.active)


def is_under_age(on: date) -> ColumnElement[bool]:
    return Resident.birth_date > latest_birth(on, YOUNGEST)


def has_opted_out(topic: str) -> ColumnElement[bool]:
    return sa.exists().where(OptOut.resident_id == Resident.id, OptOut.topic == topic)


async def caps_in_reach(
    session: ReadSession, topic: str | None, *, caps: Caps, now: datetime, but: UUID
) -> bool:
    """Whether anybody at all can have had as many campaigns, `but` one, as anybody is to get.

    There have rarely been so many; then nobody needs to be asked one by one, which would cost as
    much as all the rest of a delivery.
    """
    counted = sa.select(sa.func.count(), sa.func.count().filter(Campaign.topic == topic)).where(
        Campaign.id != but,
        Campaign.recipients.is_not(None),
        # Whatever ends or rests is written down then, so it cannot have delivered any later.
        sa.or_(
            Campaign.updated_at > now - timedelta(days=caps.days),
            Campaign.state == CampaignState.SENDING,
        ),
    )
    all_topics, one_topic = (await session.execute(counted)).one()
    return all_topics >= caps.all_topics or one_topic >= caps.one_topic


def is_capped(topic: str | None, *, caps: Caps, now: datetime, but: UUID) -> ColumnElement[bool]:
    """Whether somebody has had as many campaigns, `but` one, as anybody is to get."""
    recent = (
        sa.select(sa.func.count(sa.distinct(Delivery.campaign_id)))
        .where(
            Delivery.resident_id == Resident.id,
            Delivery.campaign_id != but,
            Delivery.state == DeliveryState.DELIVERED,
            Delivery.delivered_at > now - timedelta(days=caps.days),
        )
        .correlate(Resident)
    )
    too_many = recent.scalar_subquery() >= caps.all_topics
    if topic is None:
        return too_many
    of_topic = recent.join(Campaign, Campaign.id == Delivery.campaign_id).where(
        Campaign.topic == topic
    )
    return sa.or_(too_many, of_topic.scalar_subquery() >= caps.one_topic)


def skip_reason(
    reasons: Sequence[tuple[SkipReason, ColumnElement[bool]]],
) -> ColumnElement[str | None]:
    """The first of the reasons that holds; null for whoever is to be told."""
    gone = {
        state: Resident.state == state
        for state in (
            SkipReason.DECEASED,
            SkipReason.MOVED_OUT,
            SkipReason.MERGED,
            SkipReason.ERASED,
        )
    }
    cases = [(condition, sa.literal(state.value)) for state, condition in gone.items()]
    cases += [(condition, sa.literal(reason.value)) for reason, condition in reasons]
    return sa.case(*cases, else_=sa.null())
