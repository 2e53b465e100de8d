"""The tree of categories that tags are kept in."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.common.schemas import Instant, Page, Schema
from services.tagging_api.schemas.tags import Category, TagName

CategoryCode = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$"),
    Field(description="Lower-case letters, digits and underscores.", examples=["elderly_care"]),
]


class TagCategoryCreate(Schema):
    code: CategoryCode
    name_zh: TagName = Field(examples=["养老服务"])
    name_en: TagName = Field(examples=["Elderly care"])
    parent_code: Category | None = Field(default=None, description="Null: at the top of the tree.")


class TagCategoryUpdate(Schema):
    """What is absent stays."""

    name_zh: TagName = Field(default_factory=str, examples=["养老服务"])
    name_en: TagName = Field(default_factory=str, examples=["Elderly care"])
    parent_code: Category | None = None


class TagCategoryRead(Schema):
    code: str = Field(examples=["elderly_care"])
    name_zh: str = Field(examples=["养老服务"])
    name_en: str | None = Field(
        description="Null for a category that was first named on a tag.", examples=["Elderly care"]
    )
    parent_code: str | None
    created_at: Instant
    updated_at: Instant


class TagCategoryPage(Page):
    items: list[TagCategoryRead]
