"""Figures of audiences, with what may be told of few people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from pyroaring import BitMap

from services.common.areas import GRID_LENGTH, VILLAGE_LENGTH, AreaKind
from services.common.database import ReadSession
from services.common.problems import FieldError, Problem, Text, Unavailable
from services.common.security import Caller
from services.tagging_api.domain import figures as domain
from services.tagging_api.domain.bitmaps import STATE, View
from services.tagging_api.domain.campaigns import EMERGENCY_TOPIC, YOUNGEST, Channel
from services.tagging_api.domain.figures import Figure
from services.tagging_api.domain.rules import AnyOf, Compare, FieldName, HasTag, Operator
from services.tagging_api.domain.rules import Rule as Meaning
from services.tagging_api.repository import figures as names
from services.tagging_api.repository import reach, tags
from services.tagging_api.repository.reach import Caps
from services.tagging_api.schemas.figures import (
    BreakdownBy,
    BreakdownItem,
    TagCount,
    UnreachableReason,
)
from services.tagging_api.schemas.tags import Sensitivity
from services.tagging_api.service import residents_feed, rules
from services.tagging_api.service.targeting import Targeting

_NOT_READ: Final = Text("居民数据尚未同步完成", "The register has not been read completely yet")
_LEVELS: Final = {
    BreakdownBy.TOWN: (AreaKind.DIVISION, 9),
    BreakdownBy.VILLAGE: (AreaKind.DIVISION, VILLAGE_LENGTH),
    BreakdownBy.GRID: (AreaKind.GRID, GRID_LENGTH),
    BreakdownBy.COMPOUND: (AreaKind.COMPOUND, None),
}
# What reaches people by the app that they have signed in to.
_BY_ACCOUNT: Final = frozenset({Channel.IN_APP, Channel.PUSH})


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule as engines need it, and how sensitive it is."""

    meaning: Meaning
    level: Sensitivity


async def asked(
    session: ReadSession, rule: Meaning, caller: Caller, *, pointer: str = "/rule"
) -> Asked:
    """What a caller asks for. Raises what `rules.resolved` and `check_countable` raise, with
    pointers below `pointer`.
    """
    try:
        meaning = await rules.resolved(session, rule, areas=caller.areas)
        return Asked(meaning, await rules.check_countable(session, rule, caller))
    except Problem as refused:
        raise _at(refused, lambda at: pointer + at.removeprefix("/rule")) from None


async def asked_tags(
    session: ReadSession, codes: Sequence[str], caller: Caller
) -> list[Sensitivity]:
    """How sensitive each of the tags is. Raises TagUnknown, TagUnclassified or RoleForbidden."""
    if not codes:
        return []
    try:
        await rules.check_countable(session, AnyOf(tuple(map(HasTag, codes))), caller)
    except Problem as refused:
        # From /rule/any/0/tag, as if they were a rule.
        raise _at(refused, lambda at: f"/tags/{at.split('/')[3]}") from None
    known = await tags.by_codes(session, codes)
    return [Sensitivity(known[code].sensitivity) for code in codes]


def _at(refused: Problem, moved: Callable[[str], str]) -> Problem:
    """The same refusal with other pointers."""
    if not refused.errors:
        return refused
    faults = (FieldError(moved(each.pointer), each.code, each.detail) for each in refused.errors)
    return type(refused)(errors=tuple(faults))


async def seen(
    session: ReadSession,
    targeting: Targeting,
    meanings: Sequence[Meaning],
    *,
    caller: Caller,
    on: date,
) -> View:
    """What the caller sees now; to be used before the next await. Raises Unavailable."""
    if residents_feed.SOURCE not in dict(targeting.position.cursors):
        await targeting.caught_up()
    view = await targeting.view(session, *meanings, areas=caller.areas, on=on)
    # Another day only if midnight has come this very moment.
    if view is None or residents_feed.SOURCE not in dict(targeting.position.cursors):
        raise Unavailable(_NOT_READ)
    return view


def broken_down(
    view: View, meaning: Meaning, by: BreakdownBy, codes: Sequence[str]
) -> list[Figure]:
    members = view.found(meaning)
    match by:
        case BreakdownBy.TAG:
            return domain.by_tag(view, members, codes)
        case BreakdownBy.SEX:
            return domain.by_sex(view, members, tags=codes)
        case BreakdownBy.AGE_BAND:
            return domain.by_age_band(view, members, tags=codes)
        case _:
            kind, length = _LEVELS[by]
            return domain.by_area(view, members, kind, length=length, tags=codes)


async def shown(
    session: ReadSession,
    found: Sequence[Figure],
    by: BreakdownBy,
    *,
    level: Sensitivity,
    codes: Sequence[str],
    tag_levels: Sequence[Sensitivity],
    caller: Caller,
) -> list[BreakdownItem]:
    """With names, and without what would single somebody out."""
    keys = [figure.key for figure in found if figure.key is not None]
    called: dict[str, str] = {}
    if by in _LEVELS:
        called = dict(await names.names(session, keys))
    elif by is BreakdownBy.TAG:
        called = {code: tag.name_zh for code, tag in (await tags.by_codes(session, keys)).items()}
    both = [rules.highest((level, each)) for each in tag_levels]
    if by is BreakdownBy.TAG:
        told = [rules.shown(f.count, each, caller) for f, each in zip(found, both, strict=True)]
        codes = ()
    else:
        told = parts_shown([figure.count for figure in found], level, caller)
    return [
        BreakdownItem(
            key=figure.key,
            name=called.get(figure.key or ""),
            count=count,
            suppressed=count is None,
            tags=[
                _tag_count(code, each, tag_level, caller)
                for code, each, tag_level in zip(codes, figure.tags, both, strict=False)
            ],
        )
        for figure, count in zip(found, told, strict=True)
    ]


def _tag_count(code: str, count: int, level: Sensitivity, caller: Caller) -> TagCount:
    told = rules.shown(count, level, caller)
    return TagCount(tag=code, count=told, suppressed=told is None)


def parts_shown(counts: Sequence[int], level: Sensitivity, caller: Caller) -> list[int | None]:
    """The parts of a whole. One that is hidden alone would be the whole less the others: the
    smallest of those is hidden with it.
    """
    told = [rules.shown(count, level, caller) for count in counts]
    if told.count(None) == 1 and (others := [count for count in told if count]):
        told[told.index(min(others))] = None
    return told


@dataclass(frozen=True, slots=True)
class Reached:
    total: int
    unreachable: dict[UnreachableReason, int]

    @property
    def reachable(self) -> int:
        return self.total - sum(self.unreachable.values())


@dataclass(frozen=True, slots=True)
class Barriers:
    """Who cannot be reached whatever the audience; None where it does not matter."""

    accounts: BitMap | None
    opted_out: BitMap
    capped: BitMap


async def barriers(
    session: ReadSession, *, topic: str | None, channel: Channel, caps: Caps, now: datetime
) -> Barriers:
    """As the sender of campaigns applies them: nothing but age holds an emergency back."""
    accounts = await reach.with_account(session) if channel in _BY_ACCOUNT else None
    if topic == EMERGENCY_TOPIC:
        return Barriers(accounts, BitMap(), BitMap())
    out = await reach.opted_out(session, topic) if topic is not None else BitMap()
    return Barriers(accounts, out, await reach.frequency_capped(session, topic, caps=caps, now=now))


def reached(view: View, meaning: Meaning, barred: Barriers) -> Reached:
    """Of a frozen audience, those count as well who live nowhere any more."""
    members, frozen = view.found(meaning), view.frozen(meaning)
    gone = {
        reason: frozen.intersection_cardinality(view.index.column(STATE).get(reason, BitMap()))
        for reason in (UnreachableReason.DECEASED, UnreachableReason.MOVED_OUT)
    }
    young = view.among(Compare(FieldName.AGE, Operator.LT, (YOUNGEST,)), members)
    left = members - young
    unreachable = {**gone, UnreachableReason.UNDER_14: len(young)}
    if barred.accounts is not None:
        unreachable[UnreachableReason.NO_ACCOUNT] = left.difference_cardinality(barred.accounts)
        left &= barred.accounts
    for reason, those in (
        (UnreachableReason.OPTED_OUT, barred.opted_out),
        (UnreachableReason.FREQUENCY_CAP, barred.capped),
    ):
        unreachable[reason] = left.intersection_cardinality(those)
        left -= those
    return Reached(len(members) + sum(gone.values()), unreachable)
