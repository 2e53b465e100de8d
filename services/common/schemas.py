"""The shapes every service shares on the wire."""

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from services.common.areas import Area as AreaValue
from services.common.problems import Text

Item = TypeVar("Item")


class Schema(BaseModel):
    """What is sent and what is answered. Unknown fields are refused.

    Validation errors never carry the input, for it may be somebody's name or number.
    """

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        hide_input_in_errors=True,
        ser_json_timedelta="iso8601",
    )


class Page(Schema):
    """Base of every list. Subclasses say of what; `next_page_token` is null on the last page."""

    items: list[Any]
    next_page_token: str | None = Field(
        description="Pass it as `page_token` to get the next page; null at the end."
    )


def fault(code: str, text: Text) -> PydanticCustomError:
    """What a validator raises to say, in both languages, what is wrong with a value."""
    return PydanticCustomError(
        code,  # pyright: ignore[reportArgumentType] - asks for literals, to keep values out
        text.en,  # pyright: ignore[reportArgumentType]
        {"zh": text.zh},
    )


# PostgreSQL's text has no NUL; other control characters are never meant in what people type.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _storable(text: str) -> str:
    if _CONTROL.search(text):
        raise PydanticCustomError("text.control_character", "Control characters are not allowed")
    return text


def _one_line(text: str) -> str:
    # A tab is where a table's cell ends, and these end up in tables.
    if len(text.splitlines()) > 1 or "\t" in text:
        raise PydanticCustomError(
            "text.line_break", "One line: line breaks and tabs are not allowed"
        )
    return text


# Text that people type: trimmed, one line or several, no control characters.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_storable),
    AfterValidator(_one_line),
]
Paragraph = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
    AfterValidator(_storable),
]


def _area(value: Any) -> str:
    if isinstance(value, str):
        try:
            return AreaValue.parse(value).code
        except ValueError:
            pass
    raise PydanticCustomError(
        "area.malformed",
        "Neither a division code (2, 4, 6, 9 or 12 digits), nor a grid code, nor a compound id",
    )


AreaCode = Annotated[
    str,
    BeforeValidator(_area),
    Field(
        description="A division code (2 to 12 digits), a grid code (12 + 3) or a compound id.",
        examples=["510182104006"],
        max_length=36,
    ),
]
VillageCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{12}$"),
    Field(description="A village or community: 12 digits.", examples=["510182104006"]),
]


class FieldErrorRead(Schema):
    pointer: str = Field(examples=["/birth_date"])
    code: str = Field(examples=["date_from_datetime_parsing"])
    detail: str = Field(examples=["Input should be a valid date"])


class ProblemRead(BaseModel):
    """A refusal, as RFC 9457 has it. Branch on `code`; show `title` and `detail`."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request's id, to be quoted when asking for help.")
    code: str = Field(examples=["request.invalid"])
    errors: list[FieldErrorRead] | SkipJsonSchema[None] = Field(default=None)


Instant = Annotated[datetime, Field(examples=["2026-03-01T08:30:00Z"])]
