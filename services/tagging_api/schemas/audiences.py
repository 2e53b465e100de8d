"""Counting an audience."""

from pydantic import Field

from services.common.positions import PositionText
from services.common.schemas import Instant, Schema
from services.tagging_api.schemas.rules import BoundedRule


class AudienceCountRequest(Schema):
    """With `min_position`, the count waits up to a second until that position is included."""

    rule: BoundedRule
    min_position: PositionText | None = None


class AudienceCount(Schema):
    count: int | None = Field(examples=[3256])
    suppressed: bool = Field(
        description="Whether `count` is null: from 1 to 4, of a sensitive rule."
    )
    as_of: Instant
    position: str = Field(
        description="How far changes are included; opaque.",
        examples=["residents_api.0123456789abcdef.42~tagging_api.0123456789abcdef.7"],
    )
