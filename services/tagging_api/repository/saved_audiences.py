"""Saved audiences, and who is in the frozen ones."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy import ColumnElement, or_
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH, array

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.campaigns import CampaignState
from services.tagging_api.models import (
    Audience,
    AudienceArea,
    AudienceMember,
    Campaign,
    Resident,
    Survey,
)
from services.tagging_api.repository import ownership, tags
from services.tagging_api.schemas.tags import Sensitivity

# So many members a statement.
_AT_ONCE = 100_000


def _visible(areas: Sequence[Area]) -> ColumnElement[bool]:
    its_own = AudienceArea.audience_id == Audience.id
    return ownership.visible(AudienceArea, its_own, areas=areas)


def _hidden(*, roles: Iterable[str], highest_too: bool) -> ColumnElement[bool]:
    """By its own sensitivity and its tags, which may have become more sensitive since."""
    named = tags.hides(Audience.tags, roles=roles, highest_too=highest_too)
    return named if highest_too else or_(Audience.sensitivity == Sensitivity.HIGHEST, named)


async def by_id(
    session: ReadSession,
    audience_id: UUID,
    *,
    within: Sequence[Area],
    roles: Iterable[str],
    highest_too: bool,
) -> Audience | None:
    """The audience, if all areas of its creator lie within the areas and its tags may be seen."""
    hidden = _hidden(roles=roles, highest_too=highest_too)
    return await session.scalar(
        sa.select(Audience).where(Audience.id == audience_id, _visible(within), sa.not_(hidden))
    )


async def by_ids(
    session: ReadSession, ids: Iterable[UUID], *, within: Sequence[Area] | None
) -> dict[UUID, Audience]:
    """Audiences by id. `within` is None for those that a visible one names: they are part of it."""
    statement = sa.select(Audience).where(Audience.id.in_(set(ids)))
    if within is not None:
        statement = statement.where(_visible(within))
    return {audience.id: audience for audience in await session.scalars(statement)}


async def page(
    session: ReadSession,
    *,
    within: Sequence[Area],
    roles: Iterable[str],
    highest_too: bool,
    page: PageRequest,
) -> Sequence[Audience]:
    """Audiences of the areas, newest first."""
    hidden = _hidden(roles=roles, highest_too=highest_too)
    statement = sa.select(Audience).where(_visible(within), sa.not_(hidden))
    statement = pagination.keyset(
        statement,
        Audience.id,
        after=page.after(tuple[UUID]),
        size=page.size,
        descending=True,
    )
    return (await session.scalars(statement)).all()


async def locked(session: WriteSession, audience_id: UUID) -> Audience | None:
    """The audience as it stands now, which nobody else changes until the end of the transaction."""
    return await session.scalar(
        sa.select(Audience)
        .where(Audience.id == audience_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def lock_nesting(session: WriteSession) -> None:
    """One at a time changes what audiences name: two at once could close a circle unseen."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(_NESTING)))


_NESTING = 0x61756469


async def standing_on(session: ReadSession, audience_id: UUID) -> Sequence[Audience]:
    """The audiences whose rules name it, or one of those that do, at whatever depth."""
    below = sa.select(sa.literal(audience_id, sa.Uuid).label("id")).cte("below", recursive=True)
    below = below.union(sa.select(Audience.id).where(Audience.uses.contains(array([below.c.id]))))
    statement = sa.select(Audience).where(
        Audience.id.in_(sa.select(below.c.id)), Audience.id != audience_id
    )
    return (await session.scalars(statement.order_by(Audience.id))).all()


async def in_use(session: ReadSession, audience_id: UUID) -> bool:
    """Whether another audience is built upon it, or something that is still to be evaluated."""
    over = (CampaignState.SENT, CampaignState.CANCELLED, CampaignState.STOPPED)
    named = sa.literal("$.**.audience ? (@ == $id)", JSONPATH)
    this = sa.func.jsonb_build_object("id", str(audience_id))
    return bool(
        await session.scalar(
            sa.select(
                or_(
                    sa.exists().where(Audience.uses.contains([audience_id])),
                    sa.exists().where(
                        Campaign.audience.is_(None),
                        Campaign.state.not_in(over),
                        sa.func.jsonb_path_exists(Campaign.rule, named, this),
                    ),
                    sa.exists().where(
                        Survey.drawn_at.is_(None),
                        sa.func.jsonb_path_exists(Survey.rule, named, this),
                    ),
                )
            )
        )
    )


async def write_members(session: WriteSession, audience_id: UUID, numbers: BitMap) -> None:
    """Write down who is in an audience that is being frozen."""
    remaining = numbers.to_array()
    for start in range(0, len(remaining), _AT_ONCE):
        some = sa.literal(remaining[start : start + _AT_ONCE].tolist(), ARRAY(sa.Integer))
        members = sa.select(Resident.id, sa.literal(audience_id, sa.Uuid)).where(
            Resident.number == sa.any_(some)
        )
        await session.execute(
            sa.insert(AudienceMember).from_select(["resident_id", "audience_id"], members)
        )
    await session.execute(
        sa.update(Audience).where(Audience.id == audience_id).values(members=numbers.serialize())
    )


async def frozen(session: ReadSession, audience_id: UUID) -> BitMap:
    """The resident numbers in a frozen audience; nobody of an unknown one."""
    packed = await session.scalar(sa.select(Audience.members).where(Audience.id == audience_id))
    if packed is not None:
        return BitMap.deserialize(packed)
    # Somebody in it was merged or erased since.
    numbers = await session.scalars(
        sa.select(Resident.number)
        .join(AudienceMember, AudienceMember.resident_id == Resident.id)
        .where(AudienceMember.audience_id == audience_id)
    )
    return BitMap(numbers.all())


async def delete(session: WriteSession, audience_id: UUID) -> None:
    for table in (AudienceMember, AudienceArea):
        await session.execute(sa.delete(table).where(table.audience_id == audience_id))
    await session.execute(sa.delete(Audience).where(Audience.id == audience_id))
