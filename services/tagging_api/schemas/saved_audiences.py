"""Saved audiences."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from services.common.schemas import Instant, Line, Page, Schema
from services.tagging_api.schemas.rules import BoundedRule, Rule
from services.tagging_api.schemas.tags import Sensitivity


class AudienceKind(StrEnum):
    """`dynamic`: whoever the rule finds when it is asked. `frozen`: those it found at one time."""

    DYNAMIC = "dynamic"
    FROZEN = "frozen"


Name = Annotated[Line, Field(max_length=100, examples=["25至35岁女性"])]


class AudienceCreate(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "25至35岁女性",
                    "rule": {
                        "all": [
                            {"area": "510182104"},
                            {"field": "sex", "op": "eq", "value": "female"},
                            {"field": "age", "op": "between", "value": [25, 35]},
                        ]
                    },
                    "kind": "dynamic",
                },
            ]
        }
    )

    name: Name
    rule: BoundedRule
    kind: AudienceKind = AudienceKind.DYNAMIC


class AudienceUpdate(Schema):
    """What is absent stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "志愿者", "rule": {"tag": "volunteer"}},
            ]
        }
    )

    # A default factory, for a default would be shown in the contract and null is no value here.
    name: Name = Field(default_factory=str)
    rule: BoundedRule = Field(default_factory=lambda: Rule.model_validate({"any": [{"tag": "-"}]}))


class AudienceFreeze(Schema):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "十一月的志愿者"}]})

    name: Name


class AudienceRead(Schema):
    id: UUID
    name: str
    kind: AudienceKind
    rule: Rule
    sensitivity: Sensitivity = Field(description="The highest of the tags in it, at any depth.")
    frozen_at: Instant | None = Field(description="When a frozen one was written down.")
    created_at: Instant
    updated_at: Instant


class AudiencePage(Page):
    items: list[AudienceRead]
