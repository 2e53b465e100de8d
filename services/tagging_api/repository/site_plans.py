"""Site plans."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.orm import defer

from services.common import areas as common_areas
from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.tagging_api.models import SitePlan
from services.tagging_api.repository import tags
from services.tagging_api.schemas.tags import Sensitivity


def _visible(
    areas: Sequence[Area], *, roles: Iterable[str], highest_too: bool
) -> ColumnElement[bool]:
    inside = common_areas.within(
        areas, division=SitePlan.division_code, compound=SitePlan.compound_id
    )
    hidden = tags.hides(SitePlan.tags, roles=roles, highest_too=highest_too)
    seen = sa.and_(inside, sa.not_(hidden))
    return seen if highest_too else sa.and_(seen, SitePlan.sensitivity != Sensitivity.HIGHEST)


async def page(
    session: ReadSession,
    *,
    within: Sequence[Area],
    roles: Iterable[str],
    highest_too: bool,
    page: PageRequest,
) -> Sequence[SitePlan]:
    """Plans for the areas, newest first; without what they say."""
    statement = (
        sa.select(SitePlan)
        .options(defer(SitePlan.found), defer(SitePlan.asked))
        .where(_visible(within, roles=roles, highest_too=highest_too))
    )
    statement = pagination.keyset(
        statement, SitePlan.id, after=page.after(tuple[UUID]), size=page.size, descending=True
    )
    return (await session.scalars(statement)).all()


async def visible(
    session: ReadSession,
    plan_id: UUID,
    *,
    within: Sequence[Area],
    roles: Iterable[str],
    highest_too: bool,
) -> SitePlan | None:
    visible_ones = _visible(within, roles=roles, highest_too=highest_too)
    return await session.scalar(sa.select(SitePlan).where(SitePlan.id == plan_id, visible_ones))
