"""Visits: who was drawn, who goes there, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy import ColumnElement, Row
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from services.common import areas as common_areas
from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Resident, ResidentPlace, Survey, Visit
from services.tagging_api.repository import surveys
from services.tagging_api.schemas.visits import VisitState


async def places(
    session: ReadSession, numbers: BitMap, *, areas: Sequence[Area], on: date
) -> Sequence[Row[UUID, str, str | None, UUID | None]]:
    """Where the residents live: one current place within the areas each, by their numbers."""
    place = ResidentPlace
    statement = (
        sa.select(Resident.id, place.division_code, place.grid_code, place.compound_id)
        .join(place, place.resident_id == Resident.id)
        .where(
            Resident.number == sa.any_(sa.literal(list(numbers), ARRAY(sa.Integer))),
            sa.or_(place.start_date.is_(None), place.start_date <= on),
            sa.or_(place.end_date.is_(None), place.end_date > on),
            common_areas.within(
                areas,
                division=place.division_code,
                grid=place.grid_code,
                compound=place.compound_id,
            ),
        )
        .order_by(Resident.number, place.n)
        .ext(distinct_on(Resident.number))
    )
    return (await session.execute(statement)).all()


async def of_survey(session: ReadSession, survey_id: UUID) -> Sequence[Visit]:
    return (
        await session.scalars(
            sa.select(Visit).where(Visit.survey_id == survey_id).order_by(Visit.id)
        )
    ).all()


async def unassigned(session: WriteSession, survey_id: UUID) -> Sequence[Visit]:
    """Open visits that nobody has, locked."""
    return (
        await session.scalars(
            sa.select(Visit)
            .where(
                Visit.survey_id == survey_id,
                Visit.assignee.is_(None),
                Visit.state == VisitState.OPEN,
            )
            .order_by(Visit.id)
            .with_for_update()
        )
    ).all()


async def loads(session: ReadSession, survey_id: UUID) -> Mapping[UUID | None, int]:
    """How many visits of the survey each account has, and how many nobody has."""
    found = await session.execute(
        sa.select(Visit.assignee, sa.func.count().label("visits"))
        .where(Visit.survey_id == survey_id)
        .group_by(Visit.assignee)
    )
    return {row.assignee: row.visits for row in found}


async def assign(session: WriteSession, assignees: Mapping[UUID, UUID]) -> None:
    """Give visits, by id, to accounts. One statement; the visits are locked by the caller."""
    given = sa.func.unnest(
        sa.literal(list(assignees), ARRAY(sa.Uuid)),
        sa.literal(list(assignees.values()), ARRAY(sa.Uuid)),
    )
    given = given.table_valued(sa.column("id", sa.Uuid), sa.column("account", sa.Uuid))
    given = given.render_derived(name="given")
    await session.execute(
        sa.update(Visit)
        .where(Visit.id == given.c.id)
        .values(assignee=given.c.account, version=Visit.version + 1)
        .execution_options(synchronize_session=False)
    )


def _visible(
    areas: Sequence[Area], *, account: UUID | None, everybodys: bool, highest_too: bool
) -> ColumnElement[bool]:
    """In the areas; and the account's own or nobody's, unless one sees everybody's."""
    conditions = [
        common_areas.within(
            areas,
            division=Visit.division_code,
            grid=Visit.grid_code,
            compound=Visit.compound_id,
        )
    ]
    if not everybodys:
        conditions.append(sa.or_(Visit.assignee.is_(None), Visit.assignee == account))
    if not highest_too:
        conditions.append(sa.not_(surveys.highest()))
    return sa.and_(*conditions)


async def page(
    session: ReadSession,
    *,
    survey_id: UUID | None,
    state: VisitState | None,
    mine: bool,
    account: UUID | None,
    everybodys: bool,
    highest_too: bool,
    within: Sequence[Area],
    page: PageRequest,
) -> Sequence[Row[Visit, str]]:
    """Visits with the names of their surveys, in the order in which they were drawn."""
    statement = (
        sa.select(Visit, Survey.name)
        .join(Survey, Survey.id == Visit.survey_id)
        .where(
            _visible(within, account=account, everybodys=everybodys, highest_too=highest_too),
        )
    )
    if survey_id is not None:
        statement = statement.where(Visit.survey_id == survey_id)
    if state is not None:
        statement = statement.where(Visit.state == state)
    if mine:
        # Not IS NULL: of whoever has no account, no visit is their own.
        own = sa.false() if account is None else Visit.assignee == account
        statement = statement.where(own)
    statement = pagination.keyset(
        statement, Visit.id, after=page.after(tuple[UUID]), size=page.size
    )
    return (await session.execute(statement)).all()


async def visible(
    session: ReadSession,
    visit_id: UUID,
    *,
    account: UUID | None,
    everybodys: bool,
    highest_too: bool,
    within: Sequence[Area],
) -> tuple[Visit, Survey] | None:
    row = (
        await session.execute(
            sa.select(Visit, Survey)
            .join(Survey, Survey.id == Visit.survey_id)
            .where(
                Visit.id == visit_id,
                _visible(within, account=account, everybodys=everybodys, highest_too=highest_too),
            )
        )
    ).one_or_none()
    return (row[0], row[1]) if row is not None else None


async def locked(session: WriteSession, visit_id: UUID) -> Visit | None:
    """The visit as it stands now, whoever waited for it before; None once it is deleted."""
    return await session.scalar(
        sa.select(Visit)
        .where(Visit.id == visit_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def add(session: WriteSession, rows: Sequence[Mapping[str, Any]]) -> None:
    await session.execute(sa.insert(Visit), [dict(row) for row in rows])


async def others_that_tag(
    session: ReadSession, visit: Visit, tag: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of the resident's other visits that may have given a tag: when it is given, and answers."""
    statement = (
        sa.select(Survey.tag_if, Visit.answers)
        .join(Survey, Survey.id == Visit.survey_id)
        .where(
            Visit.resident_id == visit.resident_id,
            Visit.id != visit.id,
            Visit.state == VisitState.DONE,
            Survey.tag_if["tag"].astext == tag,
        )
    )
    return [(row.tag_if, row.answers) for row in await session.execute(statement)]
