"""Campaigns: one message to everyone a rule finds."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Line, Page, Paragraph, Schema
from services.tagging_api.schemas.rules import BoundedRule, Rule


class CampaignState(StrEnum):
    """`stopped`: its rule could not be sent by any more while it was sent, most often because a tag
    in it became one of the highest sensitivity.
    """

    DRAFT = "draft"
    SENDING = "sending"
    SENT = "sent"
    STOPPED = "stopped"


Topic = Annotated[Line, Field(max_length=64, examples=["pregnancy_class"])]


class CampaignCreate(Schema):
    rule: BoundedRule
    title: Line = Field(examples=["孕妇学校开课通知"])
    body: Paragraph = Field(examples=["本周六上午九点，社区服务中心二楼。"])
    topic: Topic | None = None


class CampaignRead(Schema):
    id: UUID
    state: CampaignState
    title: str
    body: str
    topic: str | None
    rule: Rule
    recipients: int | None = Field(description="Null until the audience has been taken.")
    delivered: int
    created_at: Instant
    sent_at: Instant | None


class CampaignPage(Page):
    items: list[CampaignRead]
