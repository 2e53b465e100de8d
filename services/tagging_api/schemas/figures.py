"""Figures of audiences: broken down, with one another, and who of them can be reached."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from services.common.positions import PositionText
from services.common.problems import Text
from services.common.schemas import Instant, Schema, fault
from services.tagging_api.domain.campaigns import Channel
from services.tagging_api.schemas.preferences import TopicCode
from services.tagging_api.schemas.rules import BoundedRule
from services.tagging_api.schemas.tags import TagNamed

MAX_AUDIENCES = 20
MAX_TAGS = 20
_HIDDEN = "Null, with `suppressed`, for 1 to 4 people of a sensitive audience."


class BreakdownBy(StrEnum):
    """What an audience is broken down by: a level of areas, or something of the person."""

    TOWN = "town"
    VILLAGE = "village"
    GRID = "grid"
    COMPOUND = "compound"
    SEX = "sex"
    AGE_BAND = "age_band"
    TAG = "tag"


class BreakdownRequest(Schema):
    """By `tag`, `tags` are what it is broken down by; else each item says how many bear each."""

    rule: BoundedRule
    by: BreakdownBy
    tags: list[TagNamed] = Field(default_factory=list, max_length=MAX_TAGS)
    min_position: PositionText | None = None

    @model_validator(mode="after")
    def _has_tags(self) -> "BreakdownRequest":
        if self.by is BreakdownBy.TAG and not self.tags:
            raise _NO_TAGS
        return self


class TagCount(Schema):
    tag: str
    count: int | None = Field(description=_HIDDEN)
    suppressed: bool


class BreakdownItem(Schema):
    key: str | None = Field(
        description="An area's code or id, a code, an age band such as `25-34`, or a tag; null: unknown.",
        examples=["510182104006"],
    )
    name: str | None = Field(description="Of an area or a tag, if known.", examples=["金沙社区"])
    count: int | None = Field(description=_HIDDEN, examples=[412])
    suppressed: bool
    tags: list[TagCount]


class Breakdown(Schema):
    items: list[BreakdownItem]
    as_of: Instant
    position: str = Field(examples=["residents_api.0123456789abcdef.42"])


class OverlapAudience(Schema):
    """Either a rule or a saved audience."""

    rule: BoundedRule | None = None
    audience: UUID | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "OverlapAudience":
        if (self.rule is None) is (self.audience is None):
            raise _NOT_ONE
        return self


class OverlapRequest(Schema):
    audiences: Annotated[list[OverlapAudience], Field(min_length=1, max_length=MAX_AUDIENCES)]
    min_position: PositionText | None = None


class Overlap(Schema):
    counts: list[list[int | None]] = Field(
        description="How many are in the audience of the row and in that of the column. " + _HIDDEN,
        examples=[[[3256, 184], [184, 902]]],
    )
    as_of: Instant
    position: str = Field(examples=["residents_api.0123456789abcdef.42"])


class UnreachableReason(StrEnum):
    """Why somebody cannot be reached; the first that holds."""

    DECEASED = "deceased"
    MOVED_OUT = "moved_out"
    UNDER_14 = "under_14"
    NO_ACCOUNT = "no_account"
    OPTED_OUT = "opted_out"
    FREQUENCY_CAP = "frequency_cap"


class ReachRequest(Schema):
    """By default as the inbox would reach them, with a message of no topic."""

    rule: BoundedRule
    topic: TopicCode | None = None
    channel: Channel = Channel.IN_APP
    min_position: PositionText | None = None


class Unreachable(Schema):
    reason: UnreachableReason
    count: int | None = Field(description=_HIDDEN)


class Reach(Schema):
    total: int | None = Field(description=_HIDDEN, examples=[3256])
    reachable: int | None = Field(description=_HIDDEN, examples=[2871])
    unreachable: list[Unreachable]
    suppressed: bool
    as_of: Instant
    position: str = Field(examples=["residents_api.0123456789abcdef.42"])


_NO_TAGS = fault(
    "breakdown.no_tags", Text("按标签细分时须给出标签", "To break down by tag, name the tags")
)
_NOT_ONE = fault(
    "overlap.not_one", Text("rule 与 audience 须且只能给出一个", "Either a rule or an audience")
)
