"""Surveys."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Survey, SurveyArea, Tag
from services.tagging_api.repository import ownership, tags
from services.tagging_api.schemas.surveys import SurveyState
from services.tagging_api.schemas.tags import Sensitivity


def _visible(
    areas: Sequence[Area], *, roles: Iterable[str], highest_too: bool
) -> ColumnElement[bool]:
    mine = ownership.visible(SurveyArea, SurveyArea.survey_id == Survey.id, areas=areas)
    hidden = tags.hides(Survey.tags, roles=roles, highest_too=highest_too)
    seen = sa.and_(mine, sa.not_(hidden))
    return seen if highest_too else sa.and_(seen, Survey.sensitivity != Sensitivity.HIGHEST)


def highest() -> ColumnElement[bool]:
    """Over `survey`: of the highest sensitivity when it was written, or by a tag that is now."""
    raised = sa.exists().where(
        Tag.code == sa.any_(Survey.tags), Tag.sensitivity == Sensitivity.HIGHEST
    )
    return sa.or_(Survey.sensitivity == Sensitivity.HIGHEST, raised)


async def page(
    session: ReadSession,
    *,
    state: SurveyState | None,
    roles: Iterable[str],
    highest_too: bool,
    within: Sequence[Area],
    page: PageRequest,
) -> Sequence[Survey]:
    """Surveys of the areas, newest first."""
    visible_ones = _visible(within, roles=roles, highest_too=highest_too)
    statement = sa.select(Survey).where(visible_ones)
    if state is not None:
        statement = statement.where(Survey.state == state)
    statement = pagination.keyset(
        statement, Survey.id, after=page.after(tuple[UUID]), size=page.size, descending=True
    )
    return (await session.scalars(statement)).all()


async def visible(
    session: ReadSession,
    survey_id: UUID,
    *,
    within: Sequence[Area],
    roles: Iterable[str],
    highest_too: bool,
) -> Survey | None:
    visible_ones = _visible(within, roles=roles, highest_too=highest_too)
    return await session.scalar(sa.select(Survey).where(Survey.id == survey_id, visible_ones))


async def locked(session: WriteSession, survey_id: UUID) -> Survey:
    """The survey as it stands now, whoever waited for it before."""
    return (
        await session.scalars(
            sa.select(Survey)
            .where(Survey.id == survey_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def held(session: WriteSession, survey_id: UUID) -> Survey:
    """The survey, kept from being closed until the end of the transaction; many may hold it."""
    return (
        await session.scalars(
            sa.select(Survey)
            .where(Survey.id == survey_id)
            .with_for_update(read=True)
            .execution_options(populate_existing=True)
        )
    ).one()
