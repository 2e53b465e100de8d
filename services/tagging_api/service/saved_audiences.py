"""Audiences with a name: saved, changed, frozen and removed.

An audience belongs to its creator's areas, and means those whom its rule finds there, whoever uses
it. What its rule asks for through others is kept with it, so that it is found when one of them
changes: who changes what audiences name does so alone, and brings all that stand on it up to date.
"""

from collections.abc import Sequence
from uuid import UUID

from services.common import clock as common_clock
from services.common.areas import Area
from services.common.clock import Clock
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import AreaForbidden
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import rules as domain
from services.tagging_api.domain.rules import InAudience, Rule
from services.tagging_api.models import Audience, AudienceArea
from services.tagging_api.repository import ownership, tags
from services.tagging_api.repository import saved_audiences as repository
from services.tagging_api.schemas import rules as schema
from services.tagging_api.schemas.saved_audiences import (
    AudienceCreate,
    AudienceFreeze,
    AudienceKind,
    AudienceRead,
    AudienceUpdate,
)
from services.tagging_api.schemas.tags import Sensitivity
from services.tagging_api.service import rules
from services.tagging_api.service.targeting import Targeting


async def create(
    session: WriteSession,
    asked: AudienceCreate,
    *,
    caller: Caller,
    clock: Clock,
    targeting: Targeting,
) -> Audience:
    """Save an audience, and freeze it if that is asked.

    Raises AreaForbidden, RoleForbidden, and what is wrong with the rule.
    """
    if not caller.areas:
        raise AreaForbidden()
    rule = schema.parsed(asked.rule)
    if asked.kind is AudienceKind.DYNAMIC and any(domain.audiences(rule)):
        await repository.lock_nesting(session)
    resolved = await rules.resolved(session, rule, areas=caller.areas)
    await rules.check_countable(session, rule, caller)
    audience = await _added(
        session,
        name=asked.name,
        # A frozen one is as sensitive as what is evaluated, whatever becomes of audiences in it.
        rule=resolved if asked.kind is AudienceKind.FROZEN else rule,
        document=asked.rule,
        kind=asked.kind,
        areas=caller.areas,
        caller=caller,
        clock=clock,
    )
    if asked.kind is AudienceKind.FROZEN:
        await _freeze(session, audience, resolved, clock=clock, targeting=targeting)
    return audience


async def freeze(
    session: WriteSession,
    source: Audience,
    asked: AudienceFreeze,
    *,
    caller: Caller,
    clock: Clock,
    targeting: Targeting,
) -> Audience:
    """A new audience: whom this one has now."""
    rule = InAudience(source.id)
    resolved = await rules.resolved(session, rule, areas=_areas(source))
    await rules.check_countable(session, rule, caller)
    audience = await _added(
        session,
        name=asked.name,
        rule=resolved,
        document=schema.Rule.model_validate(source.rule),
        kind=AudienceKind.FROZEN,
        areas=_areas(source),
        caller=caller,
        clock=clock,
    )
    await _freeze(session, audience, resolved, clock=clock, targeting=targeting)
    return audience


async def update(
    session: WriteSession,
    audience_id: UUID,
    asked: AudienceUpdate,
    *,
    version: int,
    caller: Caller,
    clock: Clock,
) -> Audience:
    """Rename an audience, or change its rule and with it all that stand on it.

    Raises AudienceNotFound, PreconditionFailed, AudienceFrozen, RoleForbidden, and what is wrong
    with the rule.
    """
    given = asked.model_fields_set
    if "rule" in given:
        await repository.lock_nesting(session)
    audience = await repository.locked(session, audience_id)
    if audience is None:
        raise errors.AudienceNotFound()
    check_version(audience.version, version)
    if "name" in given:
        audience.name = asked.name
    if "rule" in given:
        if audience.kind == AudienceKind.FROZEN:
            raise errors.AudienceFrozen()
        rule = schema.parsed(asked.rule)
        await rules.resolved(session, rule, areas=_areas(audience), of=audience_id)
        await rules.check_countable(session, rule, caller)
        audience.rule = _document(asked.rule)
        await _note(session, audience, rule)
        await _bring_up_to_date(session, audience)
    if given:
        audience.version += 1
        audience.updated_at = clock.now()
    await session.flush()
    return audience


async def delete(session: WriteSession, audience_id: UUID) -> None:
    """Raises AudienceInUse."""
    await repository.lock_nesting(session)
    if await repository.in_use(session, audience_id):
        raise errors.AudienceInUse()
    await repository.delete(session, audience_id)


async def shown(session: ReadSession, audiences: Sequence[Audience]) -> list[AudienceRead]:
    """Audiences as they are answered: one query more, however many."""
    known = await tags.by_codes(session, {code for each in audiences for code in each.tags})
    return [
        AudienceRead.model_validate(
            {
                "id": audience.id,
                "name": audience.name,
                "kind": audience.kind,
                "rule": audience.rule,
                "sensitivity": rules.highest(
                    (
                        Sensitivity(audience.sensitivity),
                        *(Sensitivity(known[code].sensitivity) for code in audience.tags),
                    )
                ),
                "frozen_at": audience.frozen_at,
                "created_at": audience.created_at,
                "updated_at": audience.updated_at,
            }
        )
        for audience in audiences
    ]


async def _added(
    session: WriteSession,
    *,
    name: str,
    rule: Rule,
    document: schema.Rule,
    kind: AudienceKind,
    areas: Sequence[Area],
    caller: Caller,
    clock: Clock,
) -> Audience:
    now = clock.now()
    audience = Audience(
        id=new_id(),
        name=name,
        kind=kind,
        rule=_document(document),
        areas=[area.code for area in areas],
        created_by=caller.sub,
        frozen_at=None,
        version=1,
        created_at=now,
        updated_at=now,
    )
    await _note(session, audience, rule)
    session.add(audience)
    session.add_all(
        AudienceArea(
            audience_id=audience.id,
            n=n,
            division_code=place.division_code,
            grid_code=place.grid_code,
            compound_id=place.compound_id,
        )
        for n, place in enumerate(await ownership.places(session, areas))
    )
    await session.flush()
    return audience


async def _freeze(
    session: WriteSession,
    audience: Audience,
    resolved: Rule,
    *,
    clock: Clock,
    targeting: Targeting,
) -> None:
    today = common_clock.today(clock)
    numbers = await targeting.members(session, resolved, areas=_areas(audience), on=today)
    audience.frozen_at = clock.now()
    await session.flush()
    await repository.write_members(session, audience.id, numbers)


async def _note(session: ReadSession, audience: Audience, rule: Rule) -> None:
    """What the rule asks for, kept with the audience."""
    used = await rules.used(session, rule)
    frozen = [level for _, level in used.frozen]
    audience.tags = sorted({tag.code for _, tag in used.tags})
    if audience.kind == AudienceKind.FROZEN:
        audience.uses = []
        audience.sensitivity = rules.highest(used.by_pointer().values())
    else:
        audience.uses = sorted({each for _, each in domain.audiences(rule)})
        audience.sensitivity = rules.highest(frozen)


async def _bring_up_to_date(session: WriteSession, changed: Audience) -> None:
    """All audiences that stand on one whose rule was changed, each once.

    Raises RuleTooLarge or RuleTooDeep if one of them has become so.
    """
    await session.flush()
    for audience in await repository.standing_on(session, changed.id):
        rule = rules.meaning(audience)
        try:
            await rules.resolved(session, rule, areas=_areas(audience))
        except (errors.RuleTooLarge, errors.RuleTooDeep) as refused:
            # Pointers into the rule of another audience mean nothing in this one.
            raise type(refused).at("/rule", refused.code, refused.title) from None
        await _note(session, audience, rule)


def _areas(audience: Audience) -> tuple[Area, ...]:
    return tuple(Area.parse(code) for code in audience.areas)


def _document(rule: schema.Rule) -> dict[str, object]:
    return rule.model_dump(mode="json", by_alias=True)
