"""Positions: how far something has got in the feeds of the services.

A write answers with one (`Position` header), a count takes one (`min_position`). Clients treat it
as opaque; it reads `residents_api.<epoch>.<number>`, several joined by `~`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from services.common.problems import Problem, Text

_CURSOR = re.compile(r"([0-9a-f]{16})\.([0-9]{1,18})")
_PART = re.compile(r"([a-z_]{1,40})\.([0-9a-f]{16})\.([0-9]{1,18})")


class PositionNotReached(Problem):
    status = 503
    code = "position.not_reached"
    title = Text(
        "数据尚未同步到该位置，请稍后重试", "Not everything up to that position has arrived yet"
    )

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one feed. `epoch` names one life of the producer's database: a restore ends it."""

    epoch: str
    position: int

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        if (match := _CURSOR.fullmatch(text)) is None:
            raise ValueError("not a cursor")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}"


@dataclass(frozen=True, slots=True)
class Position:
    """A cursor per service."""

    cursors: tuple[tuple[str, Cursor], ...]

    @classmethod
    def of(cls, cursors: Iterable[tuple[str, Cursor]]) -> "Position":
        return cls(tuple(sorted(cursors)))

    @classmethod
    def parse(cls, text: str) -> "Position":
        parts = [_PART.fullmatch(part) for part in text.split("~")]
        if not all(parts):
            raise ValueError("not a position")
        return cls.of((part[1], Cursor(part[2], int(part[3]))) for part in parts if part)

    def __str__(self) -> str:
        return "~".join(f"{service}.{cursor}" for service, cursor in self.cursors)


def _position(text: str) -> str:
    try:
        Position.parse(text)
    except ValueError:
        raise PydanticCustomError(
            "position.malformed", "This was not given as a Position"
        ) from None
    return text


PositionText = Annotated[
    str,
    StringConstraints(max_length=500),
    AfterValidator(_position),
    Field(
        description="Opaque: the `Position` header of a write.",
        examples=["residents_api.0123456789abcdef.42"],
    ),
]
