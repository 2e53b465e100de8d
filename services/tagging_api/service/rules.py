"""Which tags a rule may use, and who may use them."""

from collections.abc import Mapping

from services.common import security
from services.common.access import Permission
from services.common.database import ReadSession
from services.common.problems import FieldError, Problem
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import rules
from services.tagging_api.domain.rules import Rule
from services.tagging_api.models import Tag
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas.tags import Sensitivity, TagState


async def check_countable(session: ReadSession, rule: Rule, caller: Caller) -> None:
    """Raises TagUnknown or TagUnclassified; RoleForbidden if the tags are not for this caller."""
    used = await _used(session, rule)
    if any(tag.sensitivity == Sensitivity.HIGHEST for tag in used.values()):
        security.check(caller, Permission.TAGS_HIGHEST)


async def check_sendable(
    session: ReadSession,
    rule: Rule,
    *,
    sensitive: type[errors.SensitiveRule] = errors.SensitiveRule,
) -> None:
    """Raises TagUnknown, TagUnclassified, or `sensitive`: whoever asks, at whatever depth."""
    used = await _used(session, rule)
    _refuse(sensitive, {p: t for p, t in used.items() if t.sensitivity == Sensitivity.HIGHEST})


async def _used(session: ReadSession, rule: Rule) -> dict[str, Tag]:
    """The tags of a rule, by pointer."""
    pointers = dict(rules.tags(rule))
    if not pointers:
        return {}
    known = await repository.by_codes(session, pointers.values())
    _refuse(errors.TagUnknown, {p: code for p, code in pointers.items() if code not in known})
    used = {pointer: known[code] for pointer, code in pointers.items()}
    _refuse(
        errors.TagUnclassified,
        {p: tag for p, tag in used.items() if tag.state == TagState.UNCLASSIFIED},
    )
    return used


def _refuse(problem: type[Problem], found: Mapping[str, object]) -> None:
    if found:
        faults = (FieldError(pointer, problem.code, problem.title) for pointer in found)
        raise problem(errors=tuple(faults))
