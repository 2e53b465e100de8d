"""Who is in an audience: a page of members, and why one person is or is not."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import ConfigDict, Field

from services.common.schemas import Page, Schema
from services.tagging_api.schemas.rules import BoundedRule


class AudiencePreviewRequest(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"rule": {"tag": "volunteer"}, "page_size": 20},
            ]
        }
    )

    rule: BoundedRule
    page_size: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="How many at most; 100 is the limit."
    )
    page_token: str | None = Field(default=None, max_length=1000)


class AudienceMemberRead(Schema):
    """A member as the register shows them to you."""

    id: UUID
    name: str = Field(description="Masked.", examples=["张*"])
    sex: str | None = Field(examples=["female"])
    birth_date: date | None
    area_code: str = Field(examples=["510182104006"])


class AudiencePreview(Page):
    """A page may hold fewer than asked: who has just moved away is not shown."""

    items: list[AudienceMemberRead]
    suppressed: bool = Field(
        description="Whether nobody is shown because they are fewer than five, and the rule"
        " sensitive."
    )


class AudienceExplainRequest(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rule": {"field": "age", "op": "gte", "value": 80},
                    "resident_id": "0199f3c1-7f2a-7b7e-8a53-3f0f6d1c2b4a",
                },
            ]
        }
    )

    rule: BoundedRule
    resident_id: UUID


class RuleKind(StrEnum):
    ALL = "all"
    ANY = "any"
    NOT = "not"
    TAG = "tag"
    AREA = "area"
    FIELD = "field"
    AUDIENCE = "audience"
    SAMPLE = "sample"


class ExplainedRule(Schema):
    """A part of the rule, and whether it holds. Those inside of an audience are at its name."""

    pointer: str = Field(examples=["/rule/all/0"])
    kind: RuleKind
    holds: bool
    parts: list["ExplainedRule"]


class AudienceExplanation(Schema):
    member: bool
    lives_here: bool = Field(
        description="Whether the resident has a current occupancy in your areas: nobody without"
        " one is a member."
    )
    explained: ExplainedRule
