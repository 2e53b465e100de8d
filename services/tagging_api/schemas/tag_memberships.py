"""Who has come under the rule of a tag, and who has left it."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from services.common.schemas import Instant, Page, Schema


class MembershipKind(StrEnum):
    ENTERED = "entered"
    LEFT = "left"


class MembershipCause(StrEnum):
    """What brought it about: the rule was set or changed, a resident's data, or only the day."""

    RULE_CHANGED = "rule_changed"
    DATA_CHANGED = "data_changed"
    DAY_CHANGED = "day_changed"


class TagMembershipEventRead(Schema):
    """`day` is the day as of which it holds: one that was missed is made up for later, `at`."""

    id: UUID = Field(description="The same however often the change is found.")
    tag: str = Field(examples=["aged_80"])
    resident_id: UUID
    kind: MembershipKind
    cause: MembershipCause
    day: date
    at: Instant


class TagMembershipEventPage(Page):
    items: list[TagMembershipEventRead]
