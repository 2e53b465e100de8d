"""How sensitive a rule is that somebody stores, and what may be told of few people."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.common.access import Permission
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.problems import FieldError, Problem
from services.common.security import Caller
from services.tagging_api.domain.rules import Rule as Meaning
from services.tagging_api.models import SitePlan, Survey
from services.tagging_api.repository import tags
from services.tagging_api.schemas.rules import Rule, parsed
from services.tagging_api.schemas.tags import Sensitivity
from services.tagging_api.service import rules

_SENSITIVE = frozenset({Sensitivity.SENSITIVE, Sensitivity.HIGHEST})


@dataclass(frozen=True, slots=True)
class Weighed:
    """A rule as engines need it, the highest sensitivity in it, and the tags it asks for."""

    meaning: Meaning
    sensitivity: Sensitivity
    tags: frozenset[str]


async def weigh(
    session: ReadSession,
    rule: Rule,
    *,
    areas: Sequence[Area],
    caller: Caller,
    pointer: str = "/rule",
) -> Weighed:
    """Raises TagUnknown, TagUnclassified, AudienceUnknown, RuleTooLarge or RuleTooDeep with pointers
    below `pointer`; RoleForbidden for a rule that is not for the caller.
    """
    asked = parsed(rule)
    try:
        meaning = await rules.resolved(session, asked, areas=areas)
        level = await rules.check_countable(session, asked, caller)
        # Of what is evaluated: an audience in it may have been changed since it was read.
        used = await rules.used(session, meaning)
        level = rules.highest((level, *used.by_pointer().values()))
    except Problem as refused:
        raise type(refused)(errors=_below(pointer, refused.errors)) from None
    return Weighed(meaning, level, frozenset(tag.code for _, tag in used.tags))


def _below(pointer: str, faults: Sequence[FieldError]) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(pointer + each.pointer.removeprefix("/rule"), each.code, each.detail)
        for each in faults
    )


async def now(session: ReadSession, rows: Sequence[Survey | SitePlan]) -> list[Sensitivity]:
    """How sensitive stored rules are today: a tag may have been raised since. One statement."""
    used = {code for row in rows for code in row.tags}
    known = await tags.by_codes(session, used) if used else {}
    return [
        rules.highest(
            Sensitivity(level)
            for level in (
                row.sensitivity,
                *(known[code].sensitivity for code in row.tags if code in known),
            )
        )
        for row in rows
    ]


def is_sensitive(level: Sensitivity) -> bool:
    return level in _SENSITIVE


def few_are_hidden(level: Sensitivity, caller: Caller) -> bool:
    """Whether counts under five are not told to the caller."""
    return is_sensitive(level) and not caller.may(Permission.TAGS_HIGHEST)
