"""Campaigns, their recipients, and what is on its way to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base, OwnersArea


class Campaign(Base):
    """A message to an audience. `recipients` is null until the audience has been taken.

    `areas` are the creator's: the audience is always intersected with them. Those taken are in
    `audience`, a roaring bitmap of resident numbers; up to number `cursor` they have been given to
    every channel, and once `handed_over` all have. `delivered` counts residents whom at least one
    channel has reached.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        sa.Index(
            "campaign_active_idx",
            "id",
            postgresql_where=sa.text("state IN ('sending', 'scheduled')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="draft")
    version: Mapped[int] = mapped_column(server_default="1")
    title: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]
    rule: Mapped[dict[str, Any]]
    channels: Mapped[list[str]] = mapped_column(server_default=sa.text("'{in_app}'"))
    emergency: Mapped[bool] = mapped_column(server_default=sa.false())
    holdout_percent: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    webhook_endpoint_id: Mapped[UUID | None]
    areas: Mapped[list[str]]
    created_by: Mapped[str]
    scheduled_at: Mapped[datetime | None]
    # Who agreed that it goes to so many; who did not, and why.
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    rejected_by: Mapped[str | None]
    rejection: Mapped[str | None]
    audience: Mapped[bytes | None] = mapped_column(deferred=True)
    cursor: Mapped[int] = mapped_column(server_default="0")
    handed_over: Mapped[bool] = mapped_column(server_default=sa.false())
    recipients: Mapped[int | None]
    delivered: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    sent_at: Mapped[datetime | None]


class CampaignArea(OwnersArea, Base):
    __tablename__ = "campaign_area"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)


class Delivery(Base):
    """What became of a campaign for a resident, on one channel."""

    __tablename__ = "delivery"
    __table_args__ = (
        sa.Index(
            "delivery_campaign_id_resident_id_channel_idx",
            "campaign_id",
            "resident_id",
            "channel",
        ),
        # Those are few, and looked for.
        sa.Index(
            "delivery_undelivered_idx",
            "campaign_id",
            "state",
            "resident_id",
            "channel",
            postgresql_where=sa.text("state <> 'delivered'"),
        ),
        sa.Index(
            "delivery_parcel_id_idx",
            "parcel_id",
            postgresql_where=sa.text("parcel_id IS NOT NULL"),
        ),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    reason: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
    parcel_id: Mapped[UUID | None]


class Parcel(Base):
    """What leaves this service at once: one campaign on one channel, to some residents or an area.

    Its id is told to the receiver, who knows by it what has come already. It is `sending` from
    before the attempt until its end is known: one whose process died stays so, past its lease.
    """

    __tablename__ = "parcel"
    __table_args__ = (
        sa.Index("parcel_campaign_id_state_idx", "campaign_id", "state"),
        sa.Index(
            "parcel_open_idx",
            "due_at",
            postgresql_where=sa.text("state IN ('pending', 'failed', 'sending')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID]
    channel: Mapped[str]
    # Of a broadcast: a village.
    area: Mapped[str | None] = mapped_column(Code)
    size: Mapped[int]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    # When it may be tried; while it is being tried, when whoever does so is given up.
    due_at: Mapped[datetime]
    failure: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
