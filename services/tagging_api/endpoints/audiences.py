"""`/v1/audiences`: how many people a rule finds, broken down, beside others, and within reach."""

from typing import Annotated

from fastapi import APIRouter

from services.common import clock as common_clock
from services.common.access import Permission
from services.common.errors import refuses
from services.common.positions import PositionNotReached
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    CurrentClock,
    CurrentSettings,
    CurrentTargeting,
    Followers,
)
from services.tagging_api.domain.figures import overlap
from services.tagging_api.domain.rules import InAudience
from services.tagging_api.errors import (
    AudienceCycle,
    AudienceUnknown,
    RuleTooDeep,
    RuleTooLarge,
    TagUnclassified,
    TagUnknown,
)
from services.tagging_api.repository.reach import Caps
from services.tagging_api.schemas.audiences import AudienceCount, AudienceCountRequest
from services.tagging_api.schemas.figures import (
    Breakdown,
    BreakdownRequest,
    Overlap,
    OverlapAudience,
    OverlapRequest,
    Reach,
    ReachRequest,
    Unreachable,
)
from services.tagging_api.schemas.rules import parsed
from services.tagging_api.service import figures, rules

router = APIRouter(prefix="/v1", tags=["audiences"], route_class=UnitOfWorkRoute)

Counter = Annotated[Caller, requires(Permission.AUDIENCES_COUNT)]
_REFUSALS = refuses(
    TagUnknown,
    TagUnclassified,
    AudienceUnknown,
    AudienceCycle,
    RuleTooLarge,
    RuleTooDeep,
    PositionNotReached,
)


@router.post("/audiences/count", responses=_REFUSALS)
async def count_audience(
    caller: Counter,
    session: Reading,
    asked: AudienceCountRequest,
    clock: CurrentClock,
    followers: Followers,
    targeting: CurrentTargeting,
) -> AudienceCount:
    """How many residents with a current occupancy in your areas the rule finds, today.

    Tags of the highest sensitivity need a permission of their own.
    """
    await targeting.reach(followers, asked.min_position)
    rule = await figures.asked(session, parsed(asked.rule), caller)
    today = common_clock.today(clock)
    view = await figures.seen(session, targeting, [rule.meaning], caller=caller, on=today)
    count = rules.shown(len(view.found(rule.meaning)), rule.level, caller)
    return AudienceCount(
        count=count,
        suppressed=count is None,
        as_of=targeting.as_of,
        position=str(targeting.position),
    )


@router.post("/audiences/breakdown", responses=_REFUSALS)
async def break_audience_down(
    caller: Counter,
    session: Reading,
    asked: BreakdownRequest,
    clock: CurrentClock,
    followers: Followers,
    targeting: CurrentTargeting,
) -> Breakdown:
    """How many of an audience live in each area of a level, are of each sex or age band, or bear
    each tag; and, with `tags`, how many in each part bear each of them.

    Areas are those where you see anybody; who has homes in two of them counts in both.
    """
    await targeting.reach(followers, asked.min_position)
    rule = await figures.asked(session, parsed(asked.rule), caller)
    codes = list(dict.fromkeys(asked.tags))
    tag_levels = await figures.asked_tags(session, codes, caller)
    today = common_clock.today(clock)
    view = await figures.seen(session, targeting, [rule.meaning], caller=caller, on=today)
    found = figures.broken_down(view, rule.meaning, asked.by, codes)
    as_of, position = targeting.as_of, targeting.position
    items = await figures.shown(
        session,
        found,
        asked.by,
        level=rule.level,
        codes=codes,
        tag_levels=tag_levels,
        caller=caller,
    )
    return Breakdown(items=items, as_of=as_of, position=str(position))


@router.post("/audiences/overlap", responses=_REFUSALS)
async def overlap_audiences(
    caller: Counter,
    session: Reading,
    asked: OverlapRequest,
    clock: CurrentClock,
    followers: Followers,
    targeting: CurrentTargeting,
) -> Overlap:
    """How many are in both, for every two of up to 20 audiences."""
    await targeting.reach(followers, asked.min_position)
    each = [
        await figures.asked(session, _meant(audience), caller, pointer=f"/audiences/{n}{key}")
        for n, audience in enumerate(asked.audiences)
        for key in ("/rule" if audience.rule is not None else "",)
    ]
    today = common_clock.today(clock)
    meanings = [one.meaning for one in each]
    view = await figures.seen(session, targeting, meanings, caller=caller, on=today)
    counts = [
        [
            rules.shown(count, rules.highest((one.level, other.level)), caller)
            for count, other in zip(row, each, strict=True)
        ]
        for row, one in zip(overlap([view.found(one) for one in meanings]), each, strict=True)
    ]
    return Overlap(counts=counts, as_of=targeting.as_of, position=str(targeting.position))


def _meant(audience: OverlapAudience) -> rules.Rule:
    if audience.rule is not None:
        return parsed(audience.rule)
    assert audience.audience is not None
    return InAudience(audience.audience)


@router.post("/audiences/reach", responses=_REFUSALS)
async def reach_audience(
    caller: Counter,
    session: Reading,
    asked: ReachRequest,
    clock: CurrentClock,
    followers: Followers,
    targeting: CurrentTargeting,
    settings: CurrentSettings,
) -> Reach:
    """How many of an audience a message would reach now, and why the others not.

    A frozen audience counts those as well who have died or moved out since.
    """
    await targeting.reach(followers, asked.min_position)
    rule = await figures.asked(session, parsed(asked.rule), caller)
    now = clock.now()
    limits = settings.campaigns
    caps = Caps(limits.cap_days, limits.cap_all_topics, limits.cap_one_topic)
    barriers = await figures.barriers(
        session, topic=asked.topic, channel=asked.channel, caps=caps, now=now
    )
    today = common_clock.today(clock)
    view = await figures.seen(session, targeting, [rule.meaning], caller=caller, on=today)
    found = figures.reached(view, rule.meaning, barriers)
    reachable, *unreachable = figures.parts_shown(
        [found.reachable, *found.unreachable.values()], rule.level, caller
    )
    total = rules.shown(found.total, rule.level, caller)
    return Reach(
        total=total,
        reachable=reachable,
        unreachable=[
            Unreachable(reason=reason, count=count)
            for reason, count in zip(found.unreachable, unreachable, strict=True)
        ],
        suppressed=None in (total, reachable, *unreachable),
        as_of=targeting.as_of,
        position=str(targeting.position),
    )
