"""Tags."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from services.common.schemas import Instant, Line, Page, Schema


class Sensitivity(StrEnum):
    """How far a tag may be seen and used. `highest` needs its own permission, and is never sent to."""

    PUBLIC = "public"
    INTERNAL = "internal"
    SENSITIVE = "sensitive"
    HIGHEST = "highest"


class TagState(StrEnum):
    """`unclassified`: a ledger's word that no officer has classified yet."""

    CLASSIFIED = "classified"
    UNCLASSIFIED = "unclassified"


class AssignmentSource(StrEnum):
    WORKER = "worker"
    LEDGER = "ledger"


TagCode = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$"),
    Field(description="Lower-case letters, digits and underscores.", examples=["volunteer"]),
]
# Where a tag is named in a body, any text may come: what is no tag is unknown, not malformed.
TagNamed = Annotated[
    Line, Field(max_length=64, description="A tag's code.", examples=["volunteer"])
]
TagName = Annotated[Line, Field(max_length=100)]
Category = Annotated[Line, Field(max_length=64, examples=["volunteers"])]


class TagCreate(Schema):
    code: TagCode
    name_zh: TagName = Field(examples=["志愿者"])
    name_en: TagName = Field(examples=["Volunteer"])
    category: Category | None = None
    sensitivity: Sensitivity


class TagUpdate(Schema):
    """What is absent stays. Naming the sensitivity classifies an unclassified tag."""

    # A default factory, for a default would be shown in the contract and null is no value here.
    name_zh: TagName = Field(default_factory=str, examples=["志愿者"])
    name_en: TagName = Field(default_factory=str, examples=["Volunteer"])
    category: Category | None = None
    sensitivity: Sensitivity = Field(default_factory=lambda: Sensitivity.HIGHEST)


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
    created_at: Instant
    updated_at: Instant


class TagPage(Page):
    items: list[TagRead]
