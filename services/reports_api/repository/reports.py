"""Reports with their replies and photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import AwareDatetime
from sqlalchemy.orm import selectinload

from services.common import areas, pagination
from services.common.areas import Area, Place
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.reports_api.domain.cases import ReportStatus
from services.reports_api.models import Photo, PhotoUpload, Report

_COMPLETE = (selectinload(Report.replies), selectinload(Report.photos))


@dataclass(frozen=True, slots=True)
class Visible:
    """Which reports somebody sees: those in their areas, those they made, or both.

    `asked` narrows that further, to what lies in one area.
    """

    areas: tuple[Area, ...]
    reporter: str | None
    asked: Area | None = None

    def shows(self, report: Report) -> bool:
        place = Place(report.division_code, report.grid_code, report.compound_id)
        return report.reporter == self.reporter or place.within(self.areas)

    def sql(self) -> sa.ColumnElement[bool]:
        condition = _within(self.areas)
        if self.reporter is not None:
            condition = sa.or_(condition, Report.reporter == self.reporter)
        if self.asked is not None:
            condition = sa.and_(condition, _within((self.asked,)))
        return condition


def _within(wanted: Sequence[Area]) -> sa.ColumnElement[bool]:
    return areas.within(
        wanted,
        division=Report.division_code,
        grid=Report.grid_code,
        compound=Report.compound_id,
    )


async def page_of(
    session: ReadSession, *, visible: Visible, status: ReportStatus | None, page: PageRequest
) -> Sequence[Report]:
    """Newest first."""
    statement = sa.select(Report).where(visible.sql()).options(*_COMPLETE)
    if status is not None:
        statement = statement.where(Report.status == status)
    statement = pagination.keyset(
        statement,
        Report.created_at,
        Report.id,
        after=page.after(tuple[AwareDatetime, UUID]),
        size=page.size,
        descending=True,
    )
    return (await session.scalars(statement)).all()


async def report(session: ReadSession, report_id: UUID) -> Report | None:
    statement = sa.select(Report).where(Report.id == report_id)
    return await session.scalar(statement.options(*_COMPLETE))


async def locked_report(session: WriteSession, report_id: UUID) -> Report | None:
    """The report, locked against others who answer it; replies are read once it is."""
    statement = sa.select(Report).where(Report.id == report_id).with_for_update()
    return await session.scalar(statement.options(*_COMPLETE))


async def photo(session: ReadSession, report_id: UUID, n: int) -> tuple[Report, Photo] | None:
    statement = (
        sa.select(Report, Photo)
        .join(Photo, Photo.report_id == Report.id)
        .where(Report.id == report_id, Photo.n == n)
    )
    found = (await session.execute(statement)).one_or_none()
    return (found[0], found[1]) if found is not None else None


async def counts_by_category(session: ReadSession, *, visible: Visible) -> Sequence[Any]:
    """Rows of category, total, answered and resolved; none for categories without reports."""
    statement = (
        sa.select(
            Report.category,
            sa.func.count().label("total"),
            sa.func.count(Report.first_answered_at).label("answered"),
            sa.func.count(Report.resolved_at).label("resolved"),
        )
        .where(visible.sql())
        .group_by(Report.category)
    )
    return (await session.execute(statement)).all()


async def from_id(session: ReadSession, *, after: UUID | None, limit: int) -> Sequence[Report]:
    """All reports in the order of their ids, with replies: for the snapshot."""
    statement = sa.select(Report).order_by(Report.id).limit(limit)
    if after is not None:
        statement = statement.where(Report.id > after)
    return (await session.scalars(statement.options(selectinload(Report.replies)))).all()


async def forget_upload(session: WriteSession, report_id: UUID) -> None:
    await session.execute(sa.delete(PhotoUpload).where(PhotoUpload.report_id == report_id))


async def uploads_before(session: ReadSession, instant: datetime) -> Sequence[PhotoUpload]:
    statement = (
        sa.select(PhotoUpload)
        .where(PhotoUpload.created_at < instant)
        .order_by(PhotoUpload.created_at)
        .limit(100)
    )
    return (await session.scalars(statement)).all()
