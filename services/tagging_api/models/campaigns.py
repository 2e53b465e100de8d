"""Campaigns, their recipients, and the inbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class Campaign(Base):
    """A message to an audience. `recipients` is null until the audience has been taken.

    `areas` are the creator's: the audience is always intersected with them.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        sa.Index("campaign_sending_idx", "id", postgresql_where=sa.text("state = 'sending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="draft")
    title: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]
    rule: Mapped[dict[str, Any]]
    areas: Mapped[list[str]]
    created_by: Mapped[str]
    recipients: Mapped[int | None]
    delivered: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class CampaignArea(Base):
    """One of the creator's areas as a place: whoever is responsible for all of them sees it."""

    __tablename__ = "campaign_area"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]


class Delivery(Base):
    """A recipient of a campaign: the audience as it was when it was taken."""

    __tablename__ = "delivery"
    __table_args__ = (
        sa.Index(
            "delivery_waiting_idx",
            "campaign_id",
            "resident_id",
            postgresql_where=sa.text("delivered_at IS NULL"),
        ),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    delivered_at: Mapped[datetime | None]


class Message(Base):
    """A message in somebody's inbox. `cause_id` (a campaign, an answer) brings one at most."""

    __tablename__ = "message"
    __table_args__ = (sa.UniqueConstraint("resident_id", "cause_id"),)

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    # Version 7: in the order of time, and so is the inbox.
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    cause_id: Mapped[UUID]
    title: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
