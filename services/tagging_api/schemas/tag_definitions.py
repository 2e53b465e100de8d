"""Tags as they are written and read."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from services.common.access import Role
from services.common.schemas import Instant, Page, Schema
from services.tagging_api.schemas.rules import BoundedRule, Rule
from services.tagging_api.schemas.tags import (
    Category,
    RuleState,
    Sensitivity,
    TagCode,
    TagName,
    TagState,
)


def _each_once(roles: list[Role]) -> list[Role]:
    return sorted(set(roles))


Roles = Annotated[
    list[Role],
    Field(
        min_length=1,
        max_length=len(Role),
        description="Only these roles; null for everyone with the permission.",
        examples=[["town_officer", "city_officer"]],
    ),
    AfterValidator(_each_once),
]
_RULE = (
    "Whoever the rule finds, anywhere in the city, bears the tag by itself, and whoever it no longer"
    " finds does not. It takes neither `sample` nor `audience`."
)


class TagCreate(Schema):
    """`category` that nobody knows becomes one at the top of the tree."""

    code: TagCode
    name_zh: TagName = Field(examples=["志愿者"])
    name_en: TagName = Field(examples=["Volunteer"])
    category: Category | None = None
    sensitivity: Sensitivity
    may_see: Roles | None = None
    may_assign: Roles | None = None
    may_target: Roles | None = None
    rule: BoundedRule | None = Field(default=None, description=_RULE)


class TagUpdate(Schema):
    """What is absent stays. Naming the sensitivity classifies an unclassified tag."""

    # A default factory, for a default would be shown in the contract and null is no value here.
    name_zh: TagName = Field(default_factory=str, examples=["志愿者"])
    name_en: TagName = Field(default_factory=str, examples=["Volunteer"])
    category: Category | None = None
    sensitivity: Sensitivity = Field(default_factory=lambda: Sensitivity.HIGHEST)
    may_see: Roles | None = None
    may_assign: Roles | None = None
    may_target: Roles | None = None
    archived: bool = Field(
        default_factory=bool,
        description="Whoever bears an archived tag keeps it; nobody gets it any more.",
    )
    rule: BoundedRule | None = Field(
        default=None, description=_RULE + " Null: what the rule gave is taken off."
    )


class RuleStatus(Schema):
    """How far a rule is: everybody is evaluated as on `day`, `done` of `total` since it was set."""

    state: RuleState
    day: date | None = Field(description="Null until the first evaluation begins.")
    done: int
    total: int | None


class TagRead(Schema):
    code: str = Field(examples=["volunteer"])
    name_zh: str = Field(examples=["志愿者"])
    name_en: str | None = Field(examples=["Volunteer"])
    category: str | None = Field(examples=["volunteers"])
    sensitivity: Sensitivity
    state: TagState
    aliases: list[str] = Field(
        description="Other words by which ledgers mean this tag.", examples=[["志愿服务者"]]
    )
    may_see: list[Role] | None
    may_assign: list[Role] | None
    may_target: list[Role] | None
    archived: bool
    rule: Rule | None
    rule_status: RuleStatus | None
    created_at: Instant
    updated_at: Instant


class TagPage(Page):
    items: list[TagRead]
