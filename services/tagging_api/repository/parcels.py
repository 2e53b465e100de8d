"""Parcels: what leaves this service, taken by one courier at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CursorResult
from sqlalchemy.orm import aliased

from services.common.database import ReadSession, WriteSession
from services.tagging_api.domain import templates
from services.tagging_api.domain.campaigns import (
    OPEN,
    SENDING,
    CampaignState,
    DeliveryState,
    SkipReason,
)
from services.tagging_api.models import Campaign, Delivery, Parcel, Resident, Village
from services.tagging_api.repository.deliveries import Sending, letters


@dataclass(frozen=True, slots=True)
class Letter:
    """To whom, and what it says; to an area, without a resident."""

    resident_id: UUID | None
    title: str
    body: str


async def claim(
    session: WriteSession, *, now: datetime, quiet: Sequence[str]
) -> tuple[Parcel, Campaign] | None:
    """A parcel that is due, locked until the end of the transaction, and its campaign.

    One that is `sending` past its lease is due whatever its campaign does: its end must be told.
    """
    may_go = sa.and_(
        Campaign.state == CampaignState.SENDING,
        sa.or_(Campaign.emergency, Parcel.channel.not_in(quiet)),
    )
    found = await session.execute(
        sa.select(Parcel, Campaign)
        .join(Campaign, Campaign.id == Parcel.campaign_id)
        .where(
            Parcel.state.in_(OPEN), Parcel.due_at <= now, sa.or_(may_go, Parcel.state == SENDING)
        )
        .order_by(Parcel.due_at, Parcel.id)
        .limit(1)
        .with_for_update(of=Parcel, skip_locked=True)
    )
    row = found.one_or_none()
    return (row[0], row[1]) if row is not None else None


async def skip_some(session: WriteSession, parcel: Parcel, sending: Sending) -> int:
    """Take out those who are not to be told any more: they waited, and time passed. How many left."""
    reason = sending.skip_reason()
    taken_out = await session.execute(
        sa.update(Delivery)
        .where(
            Delivery.parcel_id == parcel.id,
            Resident.id == Delivery.resident_id,
            reason.is_not(None),
        )
        .values(state=DeliveryState.SKIPPED.value, reason=reason, parcel_id=None)
        .execution_options(synchronize_session=False)
    )
    return parcel.size - _count(taken_out)


async def contents(
    session: ReadSession, parcel: Parcel, sending: Sending, *, with_text: bool
) -> list[Letter]:
    """What is in a parcel; without text if only ids are to leave."""
    if parcel.area is not None:
        return [await _announcement(session, parcel.area, sending)]
    here = Delivery.parcel_id == parcel.id
    if not with_text:
        ids = sa.select(Delivery.resident_id).where(here).order_by(Delivery.resident_id)
        return [Letter(each, "", "") for each in await session.scalars(ids)]
    letter = letters(sending, Delivery.resident_id).lateral("letter")
    found = await session.execute(
        sa.select(Delivery.resident_id, letter.c.title, letter.c.body)
        .join(letter, sa.true())
        .where(here)
        .order_by(Delivery.resident_id)
    )
    return [Letter(row.resident_id, row.title, row.body) for row in found]


async def _announcement(session: ReadSession, area: str, sending: Sending) -> Letter:
    name = await session.scalar(sa.select(Village.name).where(Village.code == area))
    values = {"village": name} if name else {}
    campaign = sending.campaign
    return Letter(
        None,
        templates.rendered(campaign.title, values),
        templates.rendered(campaign.body, values),
    )


async def locked(session: WriteSession, parcel_id: UUID) -> Parcel:
    return (
        await session.scalars(
            sa.select(Parcel)
            .where(Parcel.id == parcel_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def campaign_of(session: ReadSession, parcel_id: UUID) -> UUID:
    return (
        await session.scalars(sa.select(Parcel.campaign_id).where(Parcel.id == parcel_id))
    ).one()


async def mark(
    session: WriteSession, parcel_id: UUID, state: DeliveryState, *, at: datetime | None = None
) -> None:
    """Say of everybody in a parcel what became of it."""
    await session.execute(
        sa.update(Delivery)
        .where(Delivery.parcel_id == parcel_id)
        .values(state=state.value, delivered_at=at)
    )


async def reached_first(session: ReadSession, parcel_id: UUID) -> int:
    """How many of those in a parcel no other channel has reached."""
    other = aliased(Delivery)
    already = sa.exists().where(
        other.resident_id == Delivery.resident_id,
        other.campaign_id == Delivery.campaign_id,
        other.channel != Delivery.channel,
        other.state == DeliveryState.DELIVERED,
    )
    counted = sa.select(sa.func.count()).where(Delivery.parcel_id == parcel_id, sa.not_(already))
    return await session.scalar(counted) or 0


async def any_open(session: ReadSession, campaign_id: UUID) -> bool:
    waiting = sa.exists().where(Parcel.campaign_id == campaign_id, Parcel.state.in_(OPEN))
    return bool(await session.scalar(sa.select(waiting)))


async def any_dead(session: ReadSession, campaign_id: UUID) -> bool:
    dead = sa.exists().where(Parcel.campaign_id == campaign_id, Parcel.state == DeliveryState.DEAD)
    return bool(await session.scalar(sa.select(dead)))


async def call_off(session: WriteSession, campaign_id: UUID) -> None:
    """Skip whatever has not left yet. What is just being handed over comes to its own end."""
    called_off = (
        sa.update(Parcel)
        .where(
            Parcel.campaign_id == campaign_id,
            Parcel.state.in_((DeliveryState.PENDING, DeliveryState.FAILED)),
        )
        .values(state=DeliveryState.SKIPPED.value, failure=SkipReason.CANCELLED.value)
        .returning(Parcel.id)
        .cte("called_off")
    )
    await session.execute(
        sa.update(Delivery)
        .where(Delivery.parcel_id.in_(sa.select(called_off.c.id)))
        .values(state=DeliveryState.SKIPPED.value, reason=SkipReason.CANCELLED.value)
        .execution_options(synchronize_session=False)
    )


async def revive(session: WriteSession, campaign_id: UUID, *, now: datetime) -> int:
    """Let everything dead be tried again, as often as anything new; how many deliveries that are."""
    revived = (
        sa.update(Parcel)
        .where(Parcel.campaign_id == campaign_id, Parcel.state == DeliveryState.DEAD)
        .values(state=DeliveryState.PENDING.value, attempts=0, due_at=now, failure=None)
        .returning(Parcel.id, Parcel.size)
        .cte("revived")
    )
    marked = (
        sa.update(Delivery)
        .where(Delivery.parcel_id.in_(sa.select(revived.c.id)))
        .values(state=DeliveryState.PENDING.value)
        .returning(sa.literal(1).label("one"))
        .cte("marked")
    )
    size = sa.select(sa.func.coalesce(sa.func.sum(revived.c.size), 0)).add_cte(marked)
    return await session.scalar(size) or 0


def lease(parcel: Parcel, *, now: datetime, seconds: float) -> int:
    """Begin an attempt: from now on it is in doubt until its end is known. Its number."""
    parcel.state, parcel.attempts = SENDING, parcel.attempts + 1
    parcel.due_at = now + timedelta(seconds=seconds)
    return parcel.attempts


def _count(result: Any) -> int:
    return cast("CursorResult[Any]", result).rowcount
