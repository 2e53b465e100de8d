"""Making tags and changing them: who may use one, where it is kept, and the rule that gives it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.common import clock as common_clock
from services.common import outbox, security
from services.common.access import Permission
from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.preconditions import check_version
from services.common.problems import FieldError, Problem
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import rules as domain
from services.tagging_api.domain.rules import Rule, Sample
from services.tagging_api.models import Tag
from services.tagging_api.repository import tag_categories
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas import rules as schema
from services.tagging_api.schemas.tag_definitions import (
    RuleStatus,
    TagCreate,
    TagRead,
    TagUpdate,
)
from services.tagging_api.schemas.tags import RuleState, Sensitivity, TagState
from services.tagging_api.service import rules, tag_access

SERVICE = "tagging_api"
_ORDER = tuple(Sensitivity)


def meaning(tag: Tag) -> Rule | None:
    """What gives the tag by itself, if anything does."""
    return None if tag.rule is None else schema.parsed(schema.Rule.model_validate(tag.rule))


def shown(tag: Tag) -> TagRead:
    """The tag as it is answered."""
    status = None
    if tag.rule is not None and tag.rule_state is not None:
        status = RuleStatus(
            state=RuleState(tag.rule_state),
            day=tag.rule_day,
            done=tag.rule_done or 0,
            total=tag.rule_total,
        )
    plain = {name: getattr(tag, name) for name in TagRead.model_fields if name != "rule_status"}
    return TagRead.model_validate({**plain, "rule_status": status})


async def create(session: WriteSession, asked: TagCreate, *, caller: Caller, clock: Clock) -> Tag:
    """Raises RoleForbidden for the highest sensitivity, and what is wrong with the rule."""
    if asked.sensitivity is Sensitivity.HIGHEST:
        security.check(caller, Permission.TAGS_HIGHEST)
    now = clock.now()
    plain = asked.model_dump(exclude={"rule"})
    tag = Tag(
        **plain,
        state=TagState.CLASSIFIED,
        aliases=[],
        archived=False,
        rule=None,
        rule_state=None,
        rule_day=None,
        rule_after=None,
        rule_done=None,
        rule_total=None,
        version=1,
        created_at=now,
        updated_at=now,
    )
    await _define(session, tag, asked.rule, caller=caller, clock=clock)
    if asked.category is not None:
        await tag_categories.add_if_new(session, asked.category)
    session.add(tag)
    await session.flush()
    return tag


async def update(
    session: WriteSession,
    code: str,
    asked: TagUpdate,
    *,
    version: int,
    caller: Caller,
    clock: Clock,
) -> Tag:
    """Raises TagNotFound, PreconditionFailed, RoleForbidden, and what is wrong with the rule."""
    given = asked.model_fields_set
    if given & {"rule", "sensitivity"}:
        await repository.lock_rules(session)
    tag = await repository.locked(session, code)
    if tag is None or not tag_access.sees(caller, tag):
        raise errors.TagNotFound()
    check_version(tag.version, version)
    was_archived = tag.archived
    if "sensitivity" in given:
        if asked.sensitivity is Sensitivity.HIGHEST:
            security.check(caller, Permission.TAGS_HIGHEST)
        tag.state = TagState.CLASSIFIED
    for name, value in asked.model_dump(exclude_unset=True, exclude={"rule"}).items():
        setattr(tag, name, value)
    if "rule" in given:
        await _define(session, tag, asked.rule, caller=caller, clock=clock)
    elif "sensitivity" in given and (rule := meaning(tag)) is not None:
        await _check_sensitivity(session, tag, rule)
    if tag.category is not None and "category" in given:
        await tag_categories.add_if_new(session, tag.category)
    if "sensitivity" in given:
        await _raise_those_above(session, tag, at=clock.now())
    if was_archived and not tag.archived and tag.rule is not None:
        await _evaluate_everybody(session, tag, clock=clock)
    if given:
        tag.version += 1
        tag.updated_at = clock.now()
    await session.flush()
    return tag


async def _define(
    session: WriteSession, tag: Tag, rule: schema.Rule | None, *, caller: Caller, clock: Clock
) -> None:
    if rule is None:
        if tag.rule is None:
            return
        tag.rule = None
    else:
        await repository.lock_rules(session)
        await _check(session, tag, schema.parsed(rule), caller)
        tag.rule = rule.model_dump(mode="json", by_alias=True)
    await _evaluate_everybody(session, tag, clock=clock)


async def _evaluate_everybody(session: WriteSession, tag: Tag, *, clock: Clock) -> None:
    """From the first resident again; what has been found so far stays until it is looked at."""
    tag.rule_state = RuleState.COMPUTING
    tag.rule_day = common_clock.today(clock)
    tag.rule_after = tag.rule_total = None
    tag.rule_done = 0
    # The keeper listens to the feed. Told once this transaction is committed.
    await session.execute(sa.select(sa.func.pg_notify(outbox.channel(SERVICE), "")))


async def _check(session: WriteSession, tag: Tag, rule: Rule, caller: Caller) -> None:
    """Raises TagRuleUnfit, TagRuleCycle, TagSensitivityTooLow, or what a rule raises when asked."""
    found = [f"{p}/sample" for p, node in domain.nodes(rule) if isinstance(node, Sample)]
    found += [pointer for pointer, _ in domain.audiences(rule)]
    _refuse(errors.TagRuleUnfit, found)
    defined = {each.code: each for each in await repository.with_rules(session)}
    standing = _standing_on(tag.code, defined) | {tag.code}
    _refuse(errors.TagRuleCycle, (p for p, code in domain.tags(rule) if code in standing))
    await rules.check_countable(session, rule, caller)
    await _check_sensitivity(session, tag, rule)


async def _check_sensitivity(session: WriteSession, tag: Tag, rule: Rule) -> None:
    level = await rules.sensitivity(session, rule)
    if _ORDER.index(Sensitivity(tag.sensitivity)) < _ORDER.index(level):
        _refuse(errors.TagSensitivityTooLow, ["/sensitivity"])


def _standing_on(code: str, defined: Mapping[str, Tag]) -> set[str]:
    """The tags whose rules ask for a tag, or for one whose rule does."""
    asked = {
        each.code: {named for _, named in domain.tags(rule)}
        for each in defined.values()
        if (rule := meaning(each)) is not None
    }
    found: set[str] = set()
    waiting = [code]
    while waiting:
        below = waiting.pop()
        above = {each for each, named in asked.items() if below in named} - found
        found |= above
        waiting += above
    return found


async def _raise_those_above(session: WriteSession, tag: Tag, *, at: datetime) -> None:
    """What stands on a tag is as sensitive as the tag is now."""
    defined = {each.code: each for each in await repository.with_rules(session)}
    for code in sorted(_standing_on(tag.code, defined)):
        above = defined[code]
        if _ORDER.index(Sensitivity(above.sensitivity)) < _ORDER.index(
            Sensitivity(tag.sensitivity)
        ):
            above.sensitivity = tag.sensitivity
            above.version += 1
            above.updated_at = at


def _refuse(problem: type[Problem], pointers: Iterable[str]) -> None:
    faults: Any = tuple(
        FieldError(pointer, problem.code, problem.title) for pointer in dict.fromkeys(pointers)
    )
    if faults:
        raise problem(errors=faults)
