"""What tags are called, how sensitive they are, and who may say that somebody bears one."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from services.common.schemas import Line


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


class RuleState(StrEnum):
    """`computing`: the rule is new or was changed, and not everybody has been looked at yet."""

    READY = "ready"
    COMPUTING = "computing"


class AssignmentSource(StrEnum):
    """Who says that somebody bears a tag."""

    WORKER = "worker"
    LEDGER = "ledger"
    RULE = "rule"
    SURVEY = "survey"
    EVENT = "event"


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
