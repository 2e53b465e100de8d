"""Who gets a campaign and who does not: the audience when it is taken, and batch after batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.common import areas as common_areas
from services.common.areas import VILLAGE_LENGTH, Area
from services.common.database import WriteSession
from services.common.identifiers import new_id
from services.tagging_api.domain import templates
from services.tagging_api.domain.campaigns import (
    PERSONAL,
    Channel,
    DeliveryState,
    SkipReason,
)
from services.tagging_api.domain.rules import Rule
from services.tagging_api.models import (
    Campaign,
    Compound,
    Delivery,
    Message,
    Parcel,
    Resident,
    ResidentPlace,
    Village,
)
from services.tagging_api.repository import audiences, reach
from services.tagging_api.repository.comparisons import chosen, valid
from services.tagging_api.repository.index import unpacked
from services.tagging_api.repository.reach import Caps
from services.tagging_api.schemas.messages import SubjectType

_SEED_BITS = 2**31 - 1
_INSTANT = sa.DateTime(timezone=True)


@dataclass(frozen=True, slots=True)
class Sending:
    """What one campaign is sent by at one moment."""

    campaign: Campaign
    areas: Sequence[Area]
    on: date
    now: datetime
    # None where nobody can have had as many as they say.
    caps: Caps | None

    @property
    def channels(self) -> list[str]:
        """Those that reach residents."""
        return [channel.value for channel in PERSONAL if channel in self.campaign.channels]

    def skip_reason(self) -> ColumnElement[str | None]:
        """Over `resident`: why not; null for whoever is to be told.

        Who is held out is drawn last, from those who would else be told: both groups differ by
        chance alone. Another campaign holds out others.
        """
        campaign = self.campaign
        reasons = [(SkipReason.UNDER_14, reach.is_under_age(self.on))]
        if not campaign.emergency:
            if campaign.topic is not None:
                reasons.append((SkipReason.OPTED_OUT, reach.has_opted_out(campaign.topic)))
            if self.caps is not None:
                capped = reach.is_capped(
                    campaign.topic, caps=self.caps, now=self.now, but=campaign.id
                )
                reasons.append((SkipReason.FREQUENCY_CAP, capped))
        if campaign.holdout_percent:
            seed = campaign.id.int & _SEED_BITS
            points = campaign.holdout_percent * 100
            reasons.append(
                (SkipReason.HELD_OUT, chosen(Resident.number, basis_points=points, seed=seed))
            )
        return reach.skip_reason(reasons)


async def take_audience(session: WriteSession, sending: Sending, rule: Rule) -> BitMap:
    """The numbers of those who are to be told; who is not is written down, with the reason."""
    found = (
        sa.select(Resident.id, Resident.number, sending.skip_reason().label("reason"))
        .where(audiences.belongs(rule, sending.areas, sending.on))
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    gathered = sa.func.string_agg(
        sa.func.int4send(found.c.number), sa.literal(b""), type_=sa.LargeBinary
    )
    statement = sa.select(gathered).where(found.c.reason.is_(None))
    if sending.channels:
        channel = _each(sending.channels, sa.Text, "channel")
        skipped = _filed(
            sa.select(
                found.c.id,
                sa.literal(sending.campaign.id, sa.Uuid),
                channel.c.channel,
                sa.literal(DeliveryState.SKIPPED.value),
                found.c.reason,
                sa.null(),
                sa.null(),
            )
            .select_from(found.join(channel, sa.true()))
            .where(found.c.reason.is_not(None))
        )
        statement = statement.add_cte(skipped.cte("skipped"))
    return unpacked(await session.scalar(statement))


@dataclass(frozen=True, slots=True)
class Parcels:
    """New parcels for a batch, by channel: enough for all of it at `size` residents each."""

    ids: Mapping[Channel, Sequence[UUID]]
    size: int


async def hand_over(
    session: WriteSession, sending: Sending, numbers: Sequence[int], parcels: Parcels
) -> tuple[int, int]:
    """Put the message into the inboxes of residents, and into parcels for the other channels.

    `numbers` are in order. How many are skipped after all, and how many the inbox has reached. One
    statement; whoever has a message or a delivery of this campaign already keeps that one.
    """
    campaign = sending.campaign
    one = (
        sa.select(Resident.id, Resident.number, sending.skip_reason().label("reason"))
        .where(
            # A batch lies close together: its stretch of the index, rather than everybody.
            Resident.number.between(numbers[0], numbers[-1]),
            Resident.number == sa.any_(sa.literal(list(numbers), ARRAY(sa.Integer))),
        )
        .cte("one")
        .prefix_with("MATERIALIZED")
    )
    told = one.c.reason.is_(None)
    channel = _each(sending.channels, sa.Text, "channel")
    in_app = channel.c.channel == Channel.IN_APP.value
    recipients: sa.FromClause = one.join(channel, sa.true())
    parcel_id: ColumnElement[Any] = sa.cast(sa.null(), sa.Uuid)
    if parcels.ids:
        parcel, place = _places(one, parcels)
        recipients = recipients.outerjoin(place, place.c.id == one.c.id).outerjoin(
            parcel,
            sa.and_(parcel.c.channel == channel.c.channel, parcel.c.n == place.c.n),
        )
        parcel_id = parcel.c.id
    filed = (
        _filed(
            sa.select(
                one.c.id,
                sa.literal(campaign.id, sa.Uuid),
                channel.c.channel,
                sa.case(
                    (sa.not_(told), DeliveryState.SKIPPED.value),
                    (in_app, DeliveryState.DELIVERED.value),
                    else_=DeliveryState.PENDING.value,
                ),
                one.c.reason,
                sa.case((sa.and_(told, in_app), sa.literal(sending.now, _INSTANT))),
                parcel_id,
            ).select_from(recipients)
        )
        .returning(Delivery.channel, Delivery.parcel_id)
        .cte("filed")
    )
    skipped = sa.func.count().filter(sa.not_(told))
    statement = sa.select(skipped, sa.func.count().filter(told)).select_from(one).add_cte(filed)
    if parcels.ids:
        statement = statement.add_cte(_packed(campaign.id, filed, sending.now).cte("packed"))
    if Channel.IN_APP in campaign.channels:
        statement = statement.add_cte(_messages(sending, one).cte("written"))
    skipped_now, told_now = (await session.execute(statement)).one()
    return skipped_now, told_now if Channel.IN_APP in campaign.channels else 0


def _places(one: sa.CTE, parcels: Parcels) -> tuple[Any, Any]:
    """Parcels by channel and number, and for everybody who is told the number of theirs."""
    rows = [
        (channel, n, each) for channel, ids in parcels.ids.items() for n, each in enumerate(ids)
    ]
    parcel = (
        sa.func.unnest(
            sa.literal([channel.value for channel, _, _ in rows], ARRAY(sa.Text)),
            sa.literal([n for _, n, _ in rows], ARRAY(sa.BigInteger)),
            sa.literal([each for _, _, each in rows], ARRAY(sa.Uuid)),
        )
        .table_valued(
            sa.column("channel", sa.Text), sa.column("n", sa.BigInteger), sa.column("id", sa.Uuid)
        )
        .render_derived(name="parcel")
    )
    nth = sa.func.row_number().over(order_by=one.c.number) - 1
    size = sa.literal_column(str(parcels.size), sa.BigInteger)
    place = (
        # Whole parcels: the division of whole numbers, not of fractions.
        sa.select(one.c.id, sa.func.div(nth, size).label("n"))
        .where(one.c.reason.is_(None))
        .subquery("place")
    )
    return parcel, place


def _filed(rows: Any) -> Any:
    names = (
        "resident_id",
        "campaign_id",
        "channel",
        "state",
        "reason",
        "delivered_at",
        "parcel_id",
    )
    return insert(Delivery).from_select(names, rows).on_conflict_do_nothing()


def _packed(campaign_id: UUID, filed: sa.CTE, now: datetime) -> Any:
    """The parcels that somebody is in."""
    used = (
        sa.select(
            filed.c.parcel_id,
            sa.literal(campaign_id, sa.Uuid),
            filed.c.channel,
            sa.func.count(),
            sa.literal(DeliveryState.PENDING.value),
            sa.literal(now, _INSTANT),
        )
        .where(filed.c.parcel_id.is_not(None))
        .group_by(filed.c.parcel_id, filed.c.channel)
    )
    names = ("id", "campaign_id", "channel", "size", "state", "due_at")
    return sa.insert(Parcel).from_select(names, used)


def _messages(sending: Sending, one: sa.CTE) -> Any:
    """The messages of everybody in `one` who is to be told."""
    campaign = sending.campaign
    told: sa.FromClause = one
    title: SQLColumnExpression[str] = sa.literal(campaign.title, sa.Text)
    body: SQLColumnExpression[str] = sa.literal(campaign.body, sa.Text)
    if templates.used(campaign.title, campaign.body):
        letter = letters(sending, one.c.id).lateral("letter")
        told, title, body = one.join(letter, sa.true()), letter.c.title, letter.c.body
    rows = (
        sa.select(
            one.c.id,
            sa.literal(campaign.id, sa.Uuid),
            title,
            body,
            sa.literal(campaign.topic, sa.Text),
            sa.literal(SubjectType.CAMPAIGN.value),
            sa.literal(campaign.id, sa.Uuid),
            sa.literal(sending.now, _INSTANT),
        )
        .select_from(told)
        .where(one.c.reason.is_(None))
    )
    names = (
        "resident_id",
        "cause_id",
        "title",
        "body",
        "topic",
        "subject_type",
        "subject_id",
        "created_at",
    )
    return insert(Message).from_select(names, rows).on_conflict_do_nothing()


def letters(sending: Sending, resident_id: SQLColumnExpression[UUID]) -> Any:
    """`title` and `body` as a resident is told: what is known of the place where they live."""
    place = (
        sa.select(ResidentPlace.division_code, ResidentPlace.compound_id)
        .where(
            ResidentPlace.resident_id == Resident.id,
            valid(ResidentPlace.start_date, ResidentPlace.end_date, sending.on),
            common_areas.within(
                sending.areas,
                division=ResidentPlace.division_code,
                grid=ResidentPlace.grid_code,
                compound=ResidentPlace.compound_id,
            ),
        )
        .order_by(ResidentPlace.n)
        .limit(1)
        .lateral("place")
    )
    values: dict[str, SQLColumnExpression[Any]] = {
        "village": Village.name,
        "compound": Compound.name,
        "salutation": sa.case(templates.SALUTATIONS, value=Resident.sex),
    }

    def told(text: str) -> ColumnElement[str]:
        found: ColumnElement[str] = sa.literal(text, sa.Text)
        for variable in sorted(templates.used(text)):
            value = sa.func.coalesce(values[variable], templates.VARIABLES[variable])
            found = sa.func.replace(found, templates.mark(variable), value, type_=sa.Text)
        return found

    return (
        sa.select(
            told(sending.campaign.title).label("title"), told(sending.campaign.body).label("body")
        )
        .select_from(Resident)
        .outerjoin(place, sa.true())
        .outerjoin(Village, Village.code == place.c.division_code)
        .outerjoin(Compound, Compound.id == place.c.compound_id)
        .where(Resident.id == resident_id)
    )


async def pack_broadcasts(session: WriteSession, sending: Sending, rule: Rule) -> None:
    """A parcel for each village where somebody of the audience lives."""
    # Apart, for the rule asks for places, too.
    found = (
        sa.select(Resident.id)
        .where(audiences.belongs(rule, sending.areas, sending.on))
        .subquery("found")
    )
    here = (
        sa.select(sa.func.left(ResidentPlace.division_code, VILLAGE_LENGTH))
        .select_from(ResidentPlace)
        .join(found, found.c.id == ResidentPlace.resident_id)
        .where(
            valid(ResidentPlace.start_date, ResidentPlace.end_date, sending.on),
            common_areas.within(
                sending.areas,
                division=ResidentPlace.division_code,
                grid=ResidentPlace.grid_code,
                compound=ResidentPlace.compound_id,
            ),
        )
        .distinct()
    )
    areas = sorted((await session.scalars(here)).all())
    if areas:
        await session.execute(
            sa.insert(Parcel),
            [
                {
                    "id": new_id(),
                    "campaign_id": sending.campaign.id,
                    "channel": Channel.BROADCAST.value,
                    "area": area,
                    "size": 1,
                    "state": DeliveryState.PENDING.value,
                    "due_at": sending.now,
                }
                for area in areas
            ],
        )


def _each(values: Sequence[Any], kind: Any, name: str) -> Any:
    """An array as a table of one column."""
    return (
        sa.func.unnest(sa.literal(list(values), ARRAY(kind)))
        .table_valued(sa.column(name, kind))
        .render_derived(name=f"each_{name}")
    )
