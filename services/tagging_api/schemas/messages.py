"""The inbox."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Schema


class SubjectType(StrEnum):
    """What a message is about."""

    CAMPAIGN = "campaign"
    REPORT = "report"


class MessageRead(Schema):
    id: UUID
    title: str = Field(examples=["您的随手拍有了新的回复"])
    body: str
    topic: str | None = Field(examples=["reports"])
    subject_type: SubjectType
    subject_id: UUID
    created_at: Instant
    read_at: Instant | None


class MessagePage(Page):
    items: list[MessageRead]


class UnreadCount(Schema):
    unread: int


class MarkedRead(Schema):
    marked: int = Field(description="Messages that were unread until now.")
