"""Campaigns: one message to everyone a rule finds."""

from typing import Annotated, Any, cast
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from services.common.problems import Text
from services.common.schemas import Instant, Line, Page, Paragraph, Schema, fault
from services.tagging_api.domain import templates
from services.tagging_api.domain.campaigns import (
    CampaignState,
    Channel,
    DeliveryState,
    SkipReason,
)
from services.tagging_api.schemas.rules import BoundedRule, Rule

_UNKNOWN_VARIABLE = fault(
    "template.unknown_variable",
    Text(
        "含有未知的变量，可用的变量为：" + "、".join(templates.VARIABLES),
        "Not a variable: there are " + ", ".join(templates.VARIABLES),
    ),
)
_ONE_AUDIENCE = fault(
    "campaign.one_audience",
    Text("规则与已保存的人群二者必选其一", "Exactly one of rule and audience_id"),
)
_ENDPOINT = fault(
    "campaign.webhook_endpoint",
    Text(
        "webhook 渠道必须且只能指定一个接收端", "A webhook endpoint goes with the channel webhook"
    ),
)
_NO_HOLDOUT = fault(
    "campaign.emergency_holdout",
    Text("紧急通知不能设置对照组", "Nobody may be held out of an emergency"),
)


def _template(text: str) -> str:
    if any(True for _ in templates.unknown(text)):
        raise _UNKNOWN_VARIABLE
    return templates.normal(text)


def _no_twice(channels: list[Channel]) -> list[Channel]:
    return sorted(set(channels), key=tuple(Channel).index)


Topic = Annotated[Line, Field(max_length=64, examples=["pregnancy_class"])]
_VARIABLES = "May contain " + ", ".join(f"`{templates.mark(v)}`" for v in templates.VARIABLES) + "."
Title = Annotated[
    Line,
    AfterValidator(_template),
    Field(description=_VARIABLES, examples=["孕妇学校开课通知"]),
]
Body = Annotated[
    Paragraph,
    AfterValidator(_template),
    Field(
        description=_VARIABLES,
        examples=["{{village}}的{{salutation}}：本周六上午九点，社区服务中心二楼。"],
    ),
]
Channels = Annotated[
    list[Channel],
    Field(min_length=1, max_length=len(Channel), examples=[["in_app", "sms"]]),
    AfterValidator(_no_twice),
]
Holdout = Annotated[
    int,
    Field(
        ge=0,
        le=50,
        description="So many of a hundred, drawn by lot, get nothing, for comparison.",
        examples=[10],
    ),
]


class CampaignCreate(Schema):
    """`rule`, or `audience_id` of a saved audience."""

    rule: BoundedRule | None = None
    audience_id: UUID | None = None
    title: Title
    body: Body
    topic: Topic | None = None
    channels: Channels = Field(default_factory=lambda: [Channel.IN_APP])
    webhook_endpoint_id: UUID | None = Field(
        default=None, description="Where the channel `webhook` leads to."
    )
    emergency: bool = Field(
        default=False,
        description="Passes quiet hours, opt-outs and frequency caps. Needs a permission of its own.",
    )
    holdout_percent: Holdout = 0

    @model_validator(mode="after")
    def _consistent(self) -> "CampaignCreate":
        if (self.rule is None) == (self.audience_id is None):
            raise _ONE_AUDIENCE
        if (self.webhook_endpoint_id is not None) != (Channel.WEBHOOK in self.channels):
            raise _ENDPOINT
        if self.emergency and self.holdout_percent:
            raise _NO_HOLDOUT
        return self

    @property
    def stored_rule(self) -> Rule:
        """A saved audience is a rule like any other."""
        return self.rule or Rule.model_validate({"audience": str(self.audience_id)})


class CampaignUpdate(Schema):
    """What is absent stays. `rule` and `audience_id` take each other's place."""

    # Default factories, for a default would be shown in the contract and null is no value here.
    rule: BoundedRule = Field(default_factory=lambda: Rule.model_validate({"area": "00"}))
    audience_id: UUID = Field(default_factory=uuid4)
    title: Title = Field(default_factory=str)
    body: Body = Field(default_factory=str)
    topic: Topic | None = None
    channels: Channels = Field(default_factory=list[Channel])
    webhook_endpoint_id: UUID | None = None
    emergency: bool = Field(default_factory=bool)
    holdout_percent: Holdout = Field(default_factory=int)

    @model_validator(mode="after")
    def _one_audience(self) -> "CampaignUpdate":
        if {"rule", "audience_id"} <= self.model_fields_set:
            raise _ONE_AUDIENCE
        return self


class CampaignSend(Schema):
    schedule_at: Instant | None = Field(
        default=None, description="When to begin; now if absent or past. At most a year ahead."
    )


class CampaignReject(Schema):
    reason: Paragraph = Field(examples=["请改到周末上午，并说明报名方式。"])


def _readable(value: Any, validate: ValidatorFunctionWrapHandler) -> Rule | None:
    try:
        return cast("Rule | None", validate(value))
    except ValidationError:
        return None


class CampaignRead(Schema):
    id: UUID
    state: CampaignState
    title: str
    body: str
    topic: str | None
    rule: Annotated[Rule | None, WrapValidator(_readable)] = Field(
        description="Null if an older version wrote it in a way that is not understood any more."
    )
    channels: list[Channel]
    webhook_endpoint_id: UUID | None
    emergency: bool
    holdout_percent: int
    created_by: str = Field(examples=["account:0199f3c1"])
    scheduled_at: Instant | None
    approved_by: str | None
    approved_at: Instant | None
    rejected_by: str | None
    rejection: str | None
    recipients: int | None = Field(
        description=(
            "Residents who are to be told, without those skipped; null until the audience has been"
            " taken."
        )
    )
    delivered: int = Field(description="Residents whom at least one channel has reached.")
    created_at: Instant
    sent_at: Instant | None


class CampaignPage(Page):
    items: list[CampaignRead]


class SkippedCount(Schema):
    reason: SkipReason
    count: int


class ChannelCount(Schema):
    """Deliveries by state: of residents, or, of a broadcast, of villages."""

    channel: Channel
    pending: int
    delivered: int
    failed: int
    dead: int
    skipped: int
    unknown: int


class CampaignDetail(CampaignRead):
    read: int = Field(description="Messages in the inbox that have been read.")
    clicked: int
    failed: int = Field(description="Deliveries that failed, for now or for good, or are in doubt.")
    skipped: list[SkippedCount] = Field(description="Residents of the audience who get nothing.")
    by_channel: list[ChannelCount]
    deferred_until: Instant | None = Field(
        description="The end of the quiet hours that some of its channels wait for."
    )


class Resent(Schema):
    resent: int = Field(description="Deliveries that are tried again.")


class DeliveryRead(Schema):
    """To a resident; on the channel `broadcast` to an area."""

    resident_id: UUID | None
    area: str | None
    channel: Channel
    state: DeliveryState
    reason: SkipReason | None
    attempts: int = Field(description="Of handing it to a channel outside of this service.")
    failure: str | None = Field(
        description="Why the last attempt failed.", examples=["http.status_503"]
    )
    delivered_at: Instant | None


class DeliveryPage(Page):
    items: list[DeliveryRead]
