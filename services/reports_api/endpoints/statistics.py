"""`/v1/reports/statistics` and `/v1/report-categories`."""

from typing import Annotated

from fastapi import APIRouter

from services.common.access import Permission
from services.common.errors import refuses
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.reports_api.dependencies import VisibleInQuery
from services.reports_api.domain.cases import CATEGORY_NAMES, ReportCategory
from services.reports_api.repository import reports as repository
from services.reports_api.schemas import (
    CategoryPage,
    CategoryRead,
    CategoryStatistics,
    ReportStatistics,
)

router = APIRouter(prefix="/v1", tags=["reports"], route_class=UnitOfWorkRoute)


@router.get("/report-categories")
async def list_report_categories(
    _: Annotated[Caller, requires(Permission.REFERENCE_READ)],
) -> CategoryPage:
    """What a report can be about, in the order in which to show it."""
    items = [
        CategoryRead(code=code, name_zh=name.zh, name_en=name.en)
        for code, name in CATEGORY_NAMES.items()
    ]
    return CategoryPage(items=items, next_page_token=None)


@router.get("/reports/statistics", responses=refuses(AreaForbidden))
async def read_report_statistics(
    _: Annotated[Caller, requires(Permission.REPORTS_READ)],
    session: Reading,
    visible: VisibleInQuery,
) -> ReportStatistics:
    """How many reports there are, were answered and resolved. Counts what the caller may list."""
    rows = await repository.counts_by_category(session, visible=visible)
    counted = {
        ReportCategory(row.category): CategoryStatistics(
            category=row.category, total=row.total, answered=row.answered, resolved=row.resolved
        )
        for row in rows
    }
    by_category = [counted[category] for category in CATEGORY_NAMES if category in counted]
    total = sum(counts.total for counts in by_category)
    answered = sum(counts.answered for counts in by_category)
    return ReportStatistics(
        area=visible.asked.code if visible.asked else None,
        total=total,
        answered=answered,
        resolved=sum(counts.resolved for counts in by_category),
        answer_rate=answered / total if total else None,
        by_category=by_category,
    )
