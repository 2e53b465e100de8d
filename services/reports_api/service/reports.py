"""File a report, answer it, resolve it; and say so to the neighbours."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.common import outbox
from services.common.access import GRANTS, Permission, Role
from services.common.areas import Place
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.outbox import Event
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.reports_api.domain.cases import ReplyKind, ReportStatus, after
from services.reports_api.models import Photo, Reply, Report
from services.reports_api.repository import reports as repository
from services.reports_api.schemas import ReportSent

REPORT_CHANGED: Final = "cn.shequ.reports.report.changed"

# Whoever has several roles answers in the widest of them.
_WIDEST_FIRST = (Role.CITY_OFFICER, Role.TOWN_OFFICER, Role.COMMUNITY_WORKER, Role.GRID_WORKER)


async def file_report(
    session: WriteSession,
    report_id: UUID,
    sent: ReportSent,
    *,
    area: str,
    place: Place,
    photos: list[Photo],
    caller: Caller,
    now: datetime,
) -> Report:
    report = Report(
        id=report_id,
        area=area,
        division_code=place.division_code,
        grid_code=place.grid_code,
        compound_id=place.compound_id,
        category=sent.category,
        text=sent.text,
        address=sent.address,
        longitude=sent.longitude,
        latitude=sent.latitude,
        coordinate_system=sent.coordinate_system,
        status=ReportStatus.RECEIVED,
        reporter=caller.sub,
        resident_id=caller.resident_id,
        version=1,
        created_at=now,
        first_answered_at=None,
        resolved_at=None,
        replies=[],
        photos=photos,
    )
    session.add(report)
    if photos:
        await repository.forget_upload(session, report_id)
    await outbox.emit(session, _changed([report]))
    return report


async def answer_report(
    session: WriteSession,
    report: Report,
    *,
    kind: ReplyKind,
    text: str,
    caller: Caller,
    now: datetime,
) -> Reply:
    """Reply to a report that the caller has locked, or resolve it. Raises ReportAlreadyResolved."""
    report.status = after(ReportStatus(report.status), kind)
    report.version += 1
    report.first_answered_at = report.first_answered_at or now
    if kind is ReplyKind.RESOLUTION:
        report.resolved_at = now
    reply = Reply(
        id=new_id(),
        kind=kind,
        text=text,
        author=caller.sub,
        author_role=_role(caller),
        created_at=now,
    )
    report.replies.append(reply)
    await outbox.emit(session, _changed([report]))
    return reply


def _role(caller: Caller) -> Role:
    return next(
        role
        for role in _WIDEST_FIRST
        if role in caller.roles and Permission.REPORTS_HANDLE in GRANTS[role]
    )


def _changed(reports: Sequence[Report]) -> Event:
    return Event(REPORT_CHANGED, {"reports": [_state(report) for report in reports]})


def _state(report: Report) -> dict[str, Any]:
    """What neighbours are told: no text, no place, no account."""
    return {
        "id": str(report.id),
        "version": report.version,
        "resident_id": str(report.resident_id) if report.resident_id else None,
        "status": report.status,
        "answers": [
            {"id": str(reply.id), "kind": reply.kind, "at": _instant(reply.created_at)}
            for reply in report.replies
        ],
    }


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def snapshot(
    session: ReadSession, after_id: str | None
) -> tuple[Sequence[Event], str | None]:
    """A page of all reports as events, and where the next page starts."""
    try:
        last = UUID(after_id) if after_id is not None else None
    except ValueError:
        raise RequestInvalid.at(
            "/query/after", "cursor.malformed", Text("游标格式不正确", "Not a cursor of this feed")
        ) from None
    reports = await repository.from_id(session, after=last, limit=outbox.MAX_SUBJECTS)
    more = len(reports) == outbox.MAX_SUBJECTS
    events = [_changed(reports)] if reports else []
    return events, str(reports[-1].id) if more else None
