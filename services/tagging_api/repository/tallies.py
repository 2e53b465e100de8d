"""What became of a campaign: counted, and one delivery after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.campaigns import SENDING, Channel, DeliveryState, SkipReason
from services.tagging_api.models import Delivery, Message, Parcel

# What is being handed over at this moment is not told apart from what waits.
_STATE_OF_PARCEL: sa.ColumnElement[str] = sa.case(
    (Parcel.state == SENDING, DeliveryState.PENDING.value), else_=Parcel.state
)


@dataclass(frozen=True, slots=True)
class Tally:
    """So many deliveries of a campaign: of residents, or, of a broadcast, of villages."""

    channel: str
    state: str
    reason: str | None
    count: int


async def tallies(session: ReadSession, campaign_id: UUID) -> Sequence[Tally]:
    """Deliveries by channel, state and reason."""
    to_people = (
        sa.select(Delivery.channel, Delivery.state, Delivery.reason, sa.func.count().label("count"))
        .where(Delivery.campaign_id == campaign_id)
        .group_by(Delivery.channel, Delivery.state, Delivery.reason)
    )
    # Below, for a parameter that is said twice is two to PostgreSQL, and no grouping.
    one = (
        sa.select(
            Parcel.channel,
            _STATE_OF_PARCEL.label("state"),
            _reason_of_parcel().label("reason"),
        )
        .where(Parcel.campaign_id == campaign_id, Parcel.area.is_not(None))
        .subquery("one")
    )
    to_areas = sa.select(one.c.channel, one.c.state, one.c.reason, sa.func.count()).group_by(
        one.c.channel, one.c.state, one.c.reason
    )
    found = await session.execute(sa.union_all(to_people, to_areas))
    return [Tally(*row) for row in found]


def _reason_of_parcel() -> sa.ColumnElement[str | None]:
    return sa.case((Parcel.state == DeliveryState.SKIPPED.value, SkipReason.CANCELLED.value))


async def inbox_counts(session: ReadSession, campaign_id: UUID) -> tuple[int, int]:
    """How many of its messages have been read, and how many clicked."""
    of_campaign = Message.cause_id == campaign_id
    read = sa.select(sa.func.count()).where(of_campaign, Message.read_at.is_not(None))
    clicked = sa.select(sa.func.count()).where(of_campaign, Message.clicked_at.is_not(None))
    row = (
        await session.execute(sa.select(read.scalar_subquery(), clicked.scalar_subquery()))
    ).one()
    return row[0], row[1]


async def page(
    session: ReadSession,
    campaign_id: UUID,
    *,
    state: DeliveryState | None,
    channel: Channel | None,
    reason: SkipReason | None,
    page: PageRequest,
) -> Sequence[Any]:
    """Deliveries by the id of the resident, or of the parcel to an area, and channel."""
    after = page.after(tuple[UUID, str])
    people = (
        sa.select(
            Delivery.resident_id.label("id"),
            Delivery.channel.label("channel"),
            Delivery.resident_id.label("resident_id"),
            sa.cast(sa.null(), sa.Text).label("area"),
            Delivery.state.label("state"),
            Delivery.reason.label("reason"),
            Delivery.delivered_at.label("delivered_at"),
            Delivery.parcel_id.label("parcel_id"),
        )
        .where(Delivery.campaign_id == campaign_id)
        .order_by(Delivery.resident_id, Delivery.channel)
        .limit(page.size + 1)
    )
    areas = (
        sa.select(
            Parcel.id.label("id"),
            Parcel.channel.label("channel"),
            sa.cast(sa.null(), sa.Uuid).label("resident_id"),
            Parcel.area.label("area"),
            _STATE_OF_PARCEL.label("state"),
            _reason_of_parcel().label("reason"),
            Parcel.delivered_at.label("delivered_at"),
            Parcel.id.label("parcel_id"),
        )
        .where(Parcel.campaign_id == campaign_id, Parcel.area.is_not(None))
        .order_by(Parcel.id, Parcel.channel)
        .limit(page.size + 1)
    )
    if after is not None:
        people = people.where(sa.tuple_(Delivery.resident_id, Delivery.channel) > after)
        areas = areas.where(sa.tuple_(Parcel.id, Parcel.channel) > after)
    if state is not None:
        people = people.where(Delivery.state == state)
        areas = areas.where(_STATE_OF_PARCEL.in_([state.value]))
    if channel is not None:
        people = people.where(Delivery.channel == channel)
        areas = areas.where(Parcel.channel == channel)
    if reason is not None:
        people = people.where(Delivery.reason == reason)
        areas = areas.where(_reason_of_parcel() == reason.value)
    both = sa.union_all(people.subquery().select(), areas.subquery().select()).subquery("both")
    first = (
        sa.select(both).order_by(both.c.id, both.c.channel).limit(page.size + 1).subquery("first")
    )
    statement = (
        sa.select(
            first,
            sa.func.coalesce(Parcel.attempts, 0).label("attempts"),
            Parcel.failure,
        )
        .outerjoin(Parcel, Parcel.id == first.c.parcel_id)
        .order_by(first.c.id, first.c.channel)
    )
    return (await session.execute(statement)).all()
