"""`/v1/reports`: report, list, read, answer, resolve."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.identifiers import new_id
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import etag
from services.common.problems import AreaForbidden, RequestInvalid
from services.common.routing import Reading, UnitOfWorkRoute, Writing, late_transaction
from services.common.security import Caller, requires
from services.reports_api.dependencies import (
    ReportInPath,
    ReportToAnswer,
    VisibleInQuery,
    place_of_report,
)
from services.reports_api.domain.cases import ReplyKind, ReportStatus
from services.reports_api.errors import ReportAlreadyResolved, ReportNotFound
from services.reports_api.models import Report
from services.reports_api.repository import reports as repository
from services.reports_api.schemas import ReplyRead, ReplySent, ReportPage, ReportRead, ReportSent
from services.reports_api.service import reports as service
from services.reports_api.service.photos import PhotoIntake

router = APIRouter(prefix="/v1", tags=["reports"], route_class=UnitOfWorkRoute)

Reporter = Annotated[Caller, requires(Permission.REPORTS_CREATE)]
Reader = Annotated[Caller, requires(Permission.REPORTS_READ)]
Handler = Annotated[Caller, requires(Permission.REPORTS_HANDLE)]


def _shown(report: Report, caller: Caller) -> ReportRead:
    shown = ReportRead.model_validate(report)
    if not caller.may(Permission.RESIDENTS_READ) and report.resident_id != caller.resident_id:
        shown.resident_id = None
    return shown


@router.post("/reports", status_code=201, responses=refuses(AreaForbidden))
@late_transaction
async def create_report(
    request: Request,
    response: Response,
    caller: Reporter,
    session: Writing,
    sent: Annotated[ReportSent, Form(media_type="multipart/form-data")],
) -> ReportRead:
    """Report something that is wrong (随手拍), with up to nine photos of at most 10 MB each.

    A resident may report anywhere in the city, staff within their areas.
    """
    if faults := sent.faults():
        raise RequestInvalid(errors=faults)
    area, place = await place_of_report(request, caller, sent.area)
    report_id = new_id()
    intake: PhotoIntake = request.state.photos
    photos = await intake.take(report_id, sent.photos)
    report = await service.file_report(
        session,
        report_id,
        sent,
        area=area,
        place=place,
        photos=photos,
        caller=caller,
        now=request.state.clock.now(),
    )
    response.headers["Location"] = f"/v1/reports/{report_id}"
    response.headers["ETag"] = etag(report.version)
    return _shown(report, caller)


@router.get("/reports", responses=refuses(AreaForbidden))
async def list_reports(
    caller: Reader,
    session: Reading,
    visible: VisibleInQuery,
    page: PageInQuery,
    status: ReportStatus | None = None,
) -> ReportPage:
    """Reports, newest first: a resident's own, or those of the caller's areas."""
    rows = await repository.page_of(session, visible=visible, status=status, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.created_at, row.id))
    return ReportPage(items=[_shown(row, caller) for row in items], next_page_token=token)


@router.get("/reports/{report_id}", responses=refuses(ReportNotFound))
async def read_report(response: Response, caller: Reader, report: ReportInPath) -> ReportRead:
    """One report with its answers."""
    response.headers["ETag"] = etag(report.version)
    return _shown(report, caller)


@router.post(
    "/reports/{report_id}/replies",
    status_code=201,
    responses=refuses(ReportNotFound),
)
async def reply_to_report(
    request: Request,
    response: Response,
    caller: Handler,
    session: Writing,
    report: ReportToAnswer,
    sent: ReplySent,
) -> ReplyRead:
    """Answer publicly. The first answer takes the report in hand; one after the resolution is a
    follow-up and does not open it again.
    """
    reply = await service.answer_report(
        session,
        report,
        kind=ReplyKind.REPLY,
        text=sent.text,
        caller=caller,
        now=request.state.clock.now(),
    )
    response.headers["Location"] = f"/v1/reports/{report.id}"
    return ReplyRead.model_validate(reply)


@router.post(
    "/reports/{report_id}/resolve",
    responses=refuses(ReportNotFound, ReportAlreadyResolved),
)
async def resolve_report(
    request: Request,
    response: Response,
    caller: Handler,
    session: Writing,
    report: ReportToAnswer,
    sent: ReplySent,
) -> ReportRead:
    """Close a report with a public answer that says what was done."""
    await service.answer_report(
        session,
        report,
        kind=ReplyKind.RESOLUTION,
        text=sent.text,
        caller=caller,
        now=request.state.clock.now(),
    )
    response.headers["ETag"] = etag(report.version)
    return _shown(report, caller)
