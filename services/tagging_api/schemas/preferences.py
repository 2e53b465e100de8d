"""What residents want to hear of."""

from typing import Annotated

from pydantic import Field

from services.common.schemas import Line, Schema

TopicCode = Annotated[Line, Field(max_length=64, examples=["health"])]


class TopicRead(Schema):
    code: str = Field(examples=["health"])
    name_zh: str = Field(examples=["健康服务"])
    name_en: str = Field(examples=["Health"])
    mandatory: bool = Field(description="Nobody can opt out of it.")


class TopicList(Schema):
    items: list[TopicRead]


class TopicPreference(TopicRead):
    opted_in: bool


class PreferencesUpdate(Schema):
    """All topics that you do not want to hear of; everything else you do."""

    opted_out: list[TopicCode] = Field(max_length=100, examples=[["culture"]])


class PreferencesRead(Schema):
    opted_out: list[str]
    topics: list[TopicPreference] = Field(description="Those with a name.")
