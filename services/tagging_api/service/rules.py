"""What a rule stands on: saved audiences, which become part of it, and tags, which not all may use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from services.common import security
from services.common.access import Permission
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.problems import FieldError, Problem, RoleForbidden
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import rules
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    AsSeenFrom,
    InAudience,
    Members,
    Not,
    Rule,
    Sample,
)
from services.tagging_api.models import Audience, Tag
from services.tagging_api.repository import saved_audiences
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas import rules as schema
from services.tagging_api.schemas.saved_audiences import AudienceKind
from services.tagging_api.schemas.tags import Sensitivity, TagState
from services.tagging_api.service import tag_access

# A count that would single somebody out.
SMALL = 5
_ORDER = tuple(Sensitivity)


def meaning(audience: Audience) -> Rule:
    """What the rule of a saved audience means."""
    return schema.parsed(schema.Rule.model_validate(audience.rule))


async def resolved(
    session: ReadSession, rule: Rule, *, areas: Sequence[Area], of: UUID | None = None
) -> Rule:
    """The rule with saved audiences replaced by what they mean, as engines need it.

    `areas` are those of whoever asks: only audiences within are known. `of` is the audience that
    the rule is to be the rule of. Raises AudienceUnknown, AudienceCycle, RuleTooLarge or RuleTooDeep,
    with pointers to the audiences in the rule as it was sent.
    """
    named = dict(rules.audiences(rule))
    if not named:
        return rule
    known = await saved_audiences.by_ids(session, named.values(), within=areas)
    _refuse(errors.AudienceUnknown, (p for p, each in named.items() if each not in known))
    known = await _with_nested(session, known)
    outside = (of,) if of is not None else ()
    inlined = _Inlining(known).inlined(rule, _Context("/rule", tuple(areas), outside))
    if rules.depth(inlined) > rules.MAX_DEPTH:
        _refuse(errors.RuleTooDeep, named)
    return inlined


async def check_countable(session: ReadSession, rule: Rule, caller: Caller) -> Sensitivity:
    """How sensitive the rule is.

    Raises TagUnknown or TagUnclassified; RoleForbidden if the tags are not for this caller. A tag in
    the rule itself that the caller may not see is unknown; within a saved audience it is forbidden.
    """
    found = await used(session, rule, caller=caller)
    _check_targets(found, caller)
    level = highest(found.by_pointer().values())
    if level is Sensitivity.HIGHEST:
        security.check(caller, Permission.TAGS_HIGHEST)
    return level


async def check_sendable(
    session: ReadSession,
    rule: Rule,
    *,
    sensitive: type[errors.SensitiveRule] = errors.SensitiveRule,
    caller: Caller | None = None,
) -> None:
    """Raises TagUnknown, TagUnclassified, or `sensitive`: whoever asks, at whatever depth.

    RoleForbidden if somebody asks who may not reach people by a tag in it.
    """
    found = await used(session, rule, caller=caller)
    levels = found.by_pointer().items()
    _refuse(sensitive, (pointer for pointer, level in levels if level is Sensitivity.HIGHEST))
    if caller is not None:
        _check_targets(found, caller)


async def sensitivity(session: ReadSession, rule: Rule) -> Sensitivity:
    """The highest anywhere in it: through nesting, `not` and frozen sets.

    Raises TagUnknown or TagUnclassified.
    """
    return highest((await used(session, rule)).by_pointer().values())


def shown(count: int, level: Sensitivity, caller: Caller) -> int | None:
    """The count; None for a small one of a sensitive rule, unless the caller may know of anybody."""
    told = level in {Sensitivity.PUBLIC, Sensitivity.INTERNAL} or caller.may(
        Permission.TAGS_HIGHEST
    )
    return count if told or not 0 < count < SMALL else None


def highest(levels: Iterable[Sensitivity]) -> Sensitivity:
    return max(levels, key=_ORDER.index, default=Sensitivity.PUBLIC)


@dataclass(frozen=True, slots=True)
class Used:
    """What a rule asks for at any depth, each with a JSON pointer into the rule as it was sent.

    `tags` are as they stand now; `frozen` says how sensitive a frozen audience was when it was
    made.
    """

    tags: Sequence[tuple[str, Tag]]
    frozen: Sequence[tuple[str, Sensitivity]]

    def by_pointer(self) -> Mapping[str, Sensitivity]:
        """How sensitive each part of the rule is."""
        found: dict[str, Sensitivity] = {}
        levels = [(pointer, Sensitivity(tag.sensitivity)) for pointer, tag in self.tags]
        for pointer, level in (*levels, *self.frozen):
            found[pointer] = highest((found.get(pointer, Sensitivity.PUBLIC), level))
        return found


def _check_targets(found: Used, caller: Caller) -> None:
    if not all(tag_access.targets(caller, tag) for _, tag in found.tags):
        raise RoleForbidden()


async def used(session: ReadSession, rule: Rule, *, caller: Caller | None = None) -> Used:
    """What a rule asks for, resolved or not. Raises TagUnknown or TagUnclassified.

    A tag in the rule itself that the caller, if there is one, may not see is unknown.
    """
    codes = list(rules.tags(rule))
    direct = set(codes)
    frozen: list[tuple[str, Sensitivity]] = []
    for pointer, audience in await _audiences(session, rule):
        # What its rule asked for when it was frozen, too: a tag may have become more sensitive.
        asked = (
            audience.tags
            if audience.kind == AudienceKind.FROZEN
            else [code for _, code in rules.tags(meaning(audience))]
        )
        codes += [(pointer, code) for code in asked]
        if audience.kind == AudienceKind.FROZEN:
            frozen.append((pointer, Sensitivity(audience.sensitivity)))
    known = await repository.by_codes(session, {code for _, code in codes}) if codes else {}
    # One of the highest sensitivity as well: nobody finds out by asking which ones there are.
    hidden = {code for code, tag in known.items() if caller and not tag_access.sees(caller, tag)}
    unknown = (
        pointer
        for pointer, code in codes
        if code not in known or (code in hidden and (pointer, code) in direct)
    )
    _refuse(errors.TagUnknown, unknown)
    tags = [(pointer, known[code]) for pointer, code in codes]
    unclassified = (p for p, tag in tags if tag.state == TagState.UNCLASSIFIED)
    _refuse(errors.TagUnclassified, unclassified)
    return Used(tags, frozen)


async def _audiences(session: ReadSession, rule: Rule) -> list[tuple[str, Audience]]:
    """The saved audiences in a rule and in each other, each with a pointer into the rule itself."""
    named = [
        (
            f"{pointer}/audience" if isinstance(node, InAudience) else pointer,
            node.id if isinstance(node, InAudience) else node.audience_id,
        )
        for pointer, node in rules.nodes(rule)
        if isinstance(node, InAudience | Members)
    ]
    if not named:
        return []
    first = await saved_audiences.by_ids(session, {each for _, each in named}, within=None)
    known = await _with_nested(session, first)
    found: dict[tuple[str, UUID], Audience] = {}
    waiting = named
    while waiting:
        pointer, audience_id = waiting.pop()
        audience = known.get(audience_id)
        if audience is None or (pointer, audience_id) in found:
            continue
        found[pointer, audience_id] = audience
        if audience.kind == AudienceKind.DYNAMIC:
            waiting += [(pointer, each) for each in audience.uses]
    return [(pointer, audience) for (pointer, _), audience in found.items()]


async def _with_nested(
    session: ReadSession, known: Mapping[UUID, Audience]
) -> dict[UUID, Audience]:
    """The audiences and all that they stand on: a query for each level."""
    found, level = dict(known), known
    while level:
        following = {
            each
            for audience in level.values()
            if audience.kind == AudienceKind.DYNAMIC
            for each in audience.uses
            if each not in found
        }
        level = await saved_audiences.by_ids(session, following, within=None) if following else {}
        found |= level
    return found


@dataclass(frozen=True, slots=True)
class _Context:
    """Where one is in a rule as it was sent: `within` are the audiences one is inside of.

    Inside of an audience that the rule names, everything is at its name.
    """

    pointer: str
    areas: tuple[Area, ...]
    within: tuple[UUID, ...]
    at_name: bool = False

    def at(self, *below: str | int) -> "_Context":
        if self.at_name:
            return self
        return replace(self, pointer="/".join((self.pointer, *map(str, below))))


class _Inlining:
    """Replaces audiences, and stops before what many nested ones make becomes too large."""

    def __init__(self, known: Mapping[UUID, Audience]) -> None:
        self._known = known
        self._nodes = 0

    def inlined(self, rule: Rule, here: _Context) -> Rule:
        self._nodes += 1
        if self._nodes > rules.MAX_NODES:
            _refuse(errors.RuleTooLarge, [here.pointer])
        match rule:
            case AllOf(inner):
                return AllOf(self._each("all", inner, here))
            case AnyOf(inner):
                return AnyOf(self._each("any", inner, here))
            case Not(inner):
                return Not(self.inlined(inner, here.at("not")))
            case Sample(inner):
                drawn_from = self.inlined(inner, here.at("sample", "rule"))
                return Sample(drawn_from, rule.n, rule.basis_points, rule.seed)
            case InAudience(audience_id):
                return self._audience(audience_id, here.at("audience"))
            case _:
                return rule

    def _each(self, key: str, inner: tuple[Rule, ...], here: _Context) -> tuple[Rule, ...]:
        return tuple(self.inlined(each, here.at(key, n)) for n, each in enumerate(inner))

    def _audience(self, audience_id: UUID, here: _Context) -> Rule:
        if audience_id in here.within:
            _refuse(errors.AudienceCycle, [here.pointer])
        audience = self._known.get(audience_id)
        if audience is None:
            raise _problem(errors.AudienceUnknown, [here.pointer])
        if audience.kind == AudienceKind.FROZEN:
            return Members(audience_id)
        areas = tuple(Area.parse(code) for code in audience.areas)
        inside = _Context(here.pointer, areas, (*here.within, audience_id), at_name=True)
        rule = self.inlined(meaning(audience), inside)
        return rule if set(areas) == set(here.areas) else AsSeenFrom(areas, rule)


def _refuse(problem: type[Problem], pointers: Iterable[str]) -> None:
    if found := list(pointers):
        raise _problem(problem, found)


def _problem(problem: type[Problem], pointers: Iterable[str]) -> Problem:
    faults = (
        FieldError(pointer, problem.code, problem.title) for pointer in dict.fromkeys(pointers)
    )
    return problem(errors=tuple(faults))
