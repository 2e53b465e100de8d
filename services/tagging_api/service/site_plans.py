"""Making a plan of where to put a service, and keeping it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common import clock as common_clock
from services.common.areas import Area, AreaKind
from services.common.clock import Clock
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.problems import FieldError, RequestInvalid, Text
from services.common.security import Caller
from services.tagging_api.domain import site_plans as domain
from services.tagging_api.domain.rules import AllOf, InArea
from services.tagging_api.domain.site_plans import Choice, Plan, Site, TooDense, TooNear
from services.tagging_api.models import Compound, SitePlan
from services.tagging_api.repository import compounds as repository
from services.tagging_api.repository import residents
from services.tagging_api.schemas.site_plans import (
    Demand,
    ReachedCompound,
    RiskLevel,
    SiteBound,
    SiteChoice,
    SiteGains,
    SitePlanAsked,
    SitePlanCreate,
    SitePlanFound,
    Uncovered,
    UncoveredCompound,
    UnplacedCompound,
)
from services.tagging_api.schemas.tags import Sensitivity
from services.tagging_api.service import rules, weighing
from services.tagging_api.service.targeting import Targeting
from services.tagging_api.service.weighing import Weighed

# A level that only a newer register knows counts as none.
_RISK: Mapping[str | None, int] = {RiskLevel.LOW: 1, RiskLevel.MEDIUM: 2, RiskLevel.HIGH: 3}
# Demand counts in whole numbers: weights to a thousandth, shares of a sum to a billionth.
_WEIGHT_STEPS = 1000
_SHARE_STEPS = 10**9
_PARTS = ("households", "population", "audience", "risk_level")
_UNCOVERED_SHOWN = 200
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a plan is made of. `members` is None without a rule."""

    area: Area
    village_code: str | None
    compounds: Sequence[Compound]
    members: Mapping[UUID, int] | None
    weighed: Weighed | None


async def gather(
    sessions: Sessions,
    asked: SitePlanCreate,
    *,
    caller: Caller,
    clock: Clock,
    targeting: Targeting,
) -> Gathered:
    """Read what is needed, before the transaction that stores the plan is open.

    Raises AreaForbidden, RequestInvalid, and what `weighing.weigh` does.
    """
    async with sessions.read() as session:
        area = Area.parse(asked.area)
        village = None
        if area.kind is AreaKind.COMPOUND:
            compound_id = UUID(area.code)
            found = await residents.villages_of_compounds(session, [compound_id])
            village = found.get(compound_id)
        caller.narrowed(area.code, village_code=village)
        if area.kind is AreaKind.GRID:
            raise RequestInvalid.at("/area", "site_plan.grid", _GRID)
        weighed = None
        if asked.rule is not None:
            weighed = await weighing.weigh(session, asked.rule, areas=caller.areas, caller=caller)
        compounds = await repository.within(session, area, limit=domain.MAX_SITES + 1)
        if len(compounds) > domain.MAX_SITES:
            raise RequestInvalid.at("/area", "site_plan.too_large", _TOO_LARGE)
        members = None
        if weighed is not None:
            members = await _members(
                session, weighed, area, compounds, caller=caller, clock=clock, targeting=targeting
            )
    return Gathered(area, village, compounds, members, weighed)


async def _members(
    session: ReadSession,
    weighed: Weighed,
    area: Area,
    compounds: Sequence[Compound],
    *,
    caller: Caller,
    clock: Clock,
    targeting: Targeting,
) -> dict[UUID, int]:
    on = common_clock.today(clock)
    await targeting.caught_up()
    # As the caller sees the audience: a sample of it, say, is not drawn anew from the area.
    here = AllOf((weighed.meaning, InArea(area)))
    numbers = await targeting.members(session, here, areas=caller.areas, on=on)
    found = await repository.members(session, numbers, [each.id for each in compounds], on=on)
    if weighing.is_sensitive(weighed.sensitivity):
        # Fewer say too much of somebody.
        found = {each: count for each, count in found.items() if count >= rules.SMALL}
    return found


async def made(asked: SitePlanCreate, gathered: Gathered) -> SitePlanFound:
    """The plan. Raises RequestInvalid for places that cannot be chosen, or too dense an area."""
    placed = [each for each in gathered.compounds if None not in (each.longitude, each.latitude)]
    demand = _Demand.of(asked, placed, gathered.members)
    index = {compound.id: n for n, compound in enumerate(placed)}
    _check_choices(asked, index)
    excluded = set(asked.excluded)
    sites = [
        Site(
            longitude=compound.longitude or 0.0,
            latitude=compound.latitude or 0.0,
            weight=demand.weight(n),
            candidate=compound.id not in excluded,
        )
        for n, compound in enumerate(placed)
    ]
    try:
        # Beside the event loop: a large area takes some tenths of a second.
        plan = await asyncio.to_thread(
            domain.plan,
            sites,
            places=asked.places,
            reach=asked.max_distance_metres,
            apart=asked.at_most_one_within_metres or 0,
            required=[index[each] for each in asked.required],
        )
    except TooDense:
        raise RequestInvalid.at("/max_distance_metres", "site_plan.too_dense", _DENSE) from None
    except TooNear as near:
        raise RequestInvalid.at(f"/required/{near.second}", "site_plan.too_near", _NEAR) from None
    unplaced = [each for each in gathered.compounds if each.id not in index]
    return _told(plan, placed, demand, unplaced)


def _check_choices(asked: SitePlanCreate, index: Mapping[UUID, int]) -> None:
    faults: list[FieldError] = []
    for n, each in enumerate(asked.required):
        problem = None
        if each not in index:
            problem = "site_plan.unknown_compound", _UNKNOWN
        elif each in asked.excluded:
            problem = "site_plan.excluded", _EXCLUDED
        elif each in asked.required[:n]:
            problem = "site_plan.twice", _TWICE
        elif n >= asked.places:
            problem = "site_plan.too_many_required", _TOO_MANY
        if problem is not None:
            faults.append(FieldError(f"/required/{n}", *problem))
    if faults:
        raise RequestInvalid(errors=tuple(faults))


@dataclass(frozen=True, slots=True)
class _Demand:
    """Of each compound what it counts, and its weight by parts, in the order of `_PARTS`."""

    values: list[tuple[int, int, int, int]]
    parts: list[tuple[int, int, int, int]]
    has_audience: bool

    @classmethod
    def of(
        cls,
        asked: SitePlanCreate,
        compounds: Sequence[Compound],
        members: Mapping[UUID, int] | None,
    ) -> "_Demand":
        values = [
            (
                each.households or 0,
                each.population or 0,
                (members or {}).get(each.id, 0),
                _RISK.get(each.risk_level, 0),
            )
            for each in compounds
        ]
        totals = [sum(column) for column in zip(*values, strict=True)] or [0] * len(_PARTS)
        steps = [round(getattr(asked.weights, part) * _WEIGHT_STEPS) for part in _PARTS]

        def part(n: int, value: int) -> int:
            return steps[n] * value * _SHARE_STEPS // totals[n] if totals[n] else 0

        parts = [
            (part(0, row[0]), part(1, row[1]), part(2, row[2]), part(3, row[3])) for row in values
        ]
        return cls(values, parts, members is not None)

    def weight(self, n: int) -> int:
        return sum(self.parts[n])

    def total(self, some: Sequence[int]) -> Demand:
        households, population, audience, _ = (
            sum(self.values[n][part] for n in some) for part in range(len(_PARTS))
        )
        return Demand(
            households=households,
            population=population,
            audience=audience if self.has_audience else None,
        )


def _told(
    plan: Plan, compounds: Sequence[Compound], demand: _Demand, unplaced: Sequence[Compound]
) -> SitePlanFound:
    def share(weight: int) -> float:
        return round(weight / plan.total, _DIGITS) if plan.total else 0.0

    def told(choice: Choice) -> SiteChoice:
        compound = compounds[choice.site]
        covers = [each.site for each in choice.covers]
        gains = {
            name: share(sum(demand.parts[n][part] for n in covers))
            for part, name in enumerate(_PARTS)
        }
        return SiteChoice(
            compound_id=compound.id,
            name=compound.name,
            longitude=compound.longitude or 0.0,
            latitude=compound.latitude or 0.0,
            required=choice.required,
            gain=share(choice.gain),
            gain_by_weight=SiteGains(**gains),
            newly_covered=demand.total(covers),
            covers=[
                ReachedCompound(
                    compound_id=compounds[each.site].id,
                    name=compounds[each.site].name,
                    distance_metres=round(each.metres),
                )
                for each in choice.covers
            ],
        )

    heaviest = sorted(plan.uncovered, key=lambda n: (-demand.weight(n), n))[:_UNCOVERED_SHOWN]
    best = plan.upper_bound
    return SitePlanFound(
        choices=[told(choice) for choice in plan.choices],
        ended=plan.ended,
        covered_share=share(plan.covered),
        bound=SiteBound(
            guarantee=round(plan.guarantee, _DIGITS),
            upper_bound=share(best),
            achieved_share=round(plan.covered / best, _DIGITS) if best else 1.0,
        ),
        total=demand.total(range(len(compounds))),
        uncovered=Uncovered(
            share=share(plan.total - plan.covered),
            demand=demand.total(plan.uncovered),
            compound_count=len(plan.uncovered),
            compounds=[
                UncoveredCompound(
                    compound_id=compounds[n].id,
                    name=compounds[n].name,
                    weight=share(demand.weight(n)),
                )
                for n in heaviest
            ],
        ),
        unplaced=[UnplacedCompound(compound_id=each.id, name=each.name) for each in unplaced],
    )


async def store(
    session: WriteSession,
    asked: SitePlanCreate,
    gathered: Gathered,
    found: SitePlanFound,
    *,
    caller: Caller,
    clock: Clock,
) -> SitePlan:
    """Keep a plan as it was made."""
    area, weighed = gathered.area, gathered.weighed
    is_compound = area.kind is AreaKind.COMPOUND
    plan = SitePlan(
        id=new_id(),
        name=asked.name,
        area=area.code,
        division_code=(gathered.village_code or "") if is_compound else area.code,
        compound_id=UUID(area.code) if is_compound else None,
        sensitivity=weighed.sensitivity if weighed is not None else Sensitivity.PUBLIC,
        tags=sorted(weighed.tags) if weighed is not None else [],
        asked=SitePlanAsked.model_validate(
            asked.model_dump(include=set(SitePlanAsked.model_fields), by_alias=True)
        ).model_dump(mode="json", by_alias=True),
        found=found.model_dump(mode="json"),
        created_by=caller.sub,
        created_at=clock.now(),
    )
    session.add(plan)
    await session.flush()
    return plan


_GRID = Text(
    "网格没有自己的小区，请按村社区或更大区域选址", "Compounds belong to villages, not to grids"
)
_TOO_LARGE = Text("该区域的小区超过5000个", "The area has more than 5,000 compounds")
_DENSE = Text(
    "步行范围内的小区过多，请缩短距离或缩小区域",
    "Too many compounds within walking distance of each other: a shorter one, or a smaller area",
)
_NEAR = Text("必选小区彼此距离过近", "It does not keep the distance from another required one")
_UNKNOWN = Text("该区域没有这个小区，或缺少坐标", "The area has no such compound with coordinates")
_EXCLUDED = Text("该小区同时被排除", "It is excluded, too")
_TWICE = Text("该小区重复", "It is named twice")
_TOO_MANY = Text("必选小区多于选址数量", "More are required than places are to be chosen")
