"""What endpoints are handed: what the caller sees, the report by path id, or a refusal."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from starlette.requests import Request

from services.common.access import GRANTS, Permission, Role
from services.common.areas import Area, AreaKind, Place
from services.common.database import ReadSession, Sessions
from services.common.problems import AreaForbidden, Problem, RequestInvalid, Text, Unavailable
from services.common.projection import Follower
from services.common.routing import Reading, Writing
from services.common.schemas import AreaCode
from services.common.security import Caller, CurrentCaller
from services.reports_api.errors import PhotoNotFound, ReportNotFound
from services.reports_api.models import Photo, Report
from services.reports_api.repository import areas as areas_repository
from services.reports_api.repository import reports as repository
from services.reports_api.repository.reports import Visible

ReportId = Annotated[UUID, Path(examples=["019ab1f0-7c1e-7d3a-9a51-0f6b6d1f2a10"])]
AreaQuery = Annotated[
    AreaCode | None,
    Query(description="Only what lies in this area, which has to lie in one of the caller's."),
]


def visible_to(caller: Caller) -> Visible:
    """A resident sees what they reported; any other role that may read reports, its areas.

    Asked of each role on its own: an auditor sees no reports of others for being a resident too.
    """
    by_area = any(
        Permission.REPORTS_READ in GRANTS[role] for role in caller.roles - {Role.RESIDENT}
    )
    return Visible(
        areas=caller.areas if by_area else (),
        reporter=caller.sub if Role.RESIDENT in caller.roles else None,
    )


async def visible_in_query(
    session: Reading, caller: CurrentCaller, area: AreaQuery = None
) -> Visible:
    """What the caller sees, in the area asked for. Refuses an area outside the caller's."""
    seen = visible_to(caller)
    if area is None:
        return seen
    asked = Area.parse(area)
    village = None
    if asked.kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(asked.code))
    caller.narrowed(area, village_code=village)
    return Visible(seen.areas, seen.reporter, asked)


VisibleInQuery = Annotated[Visible, Depends(visible_in_query)]


async def report_in_path(report_id: ReportId, session: Reading, caller: CurrentCaller) -> Report:
    found = await repository.report(session, report_id)
    if found is None or not visible_to(caller).shows(found):
        raise ReportNotFound()
    return found


ReportInPath = Annotated[Report, Depends(report_in_path)]


async def report_to_answer(report_id: ReportId, session: Writing, caller: CurrentCaller) -> Report:
    """The report, locked until the answer is written. Staff answer within their areas only."""
    found = await repository.locked_report(session, report_id)
    if found is None or not Visible(caller.areas, reporter=None).shows(found):
        raise ReportNotFound()
    return found


ReportToAnswer = Annotated[Report, Depends(report_to_answer)]


async def photo_in_path(
    report_id: ReportId,
    n: Annotated[int, Path(ge=1, le=100, description="Counted from 1.")],
    session: Reading,
    caller: CurrentCaller,
) -> Photo:
    found = await repository.photo(session, report_id, n)
    if found is None or not visible_to(caller).shows(found[0]):
        raise PhotoNotFound()
    return found[1]


PhotoInPath = Annotated[Photo, Depends(photo_in_path)]


async def place_of_report(request: Request, caller: Caller, area: str | None) -> tuple[str, Place]:
    """The area a new report is filed under, and where that is.

    A resident reports anywhere in the city; staff within their own areas. Reads in a session of its
    own: a transaction opened here would stay open while photos are decoded.
    """
    if area is None and not caller.areas:
        detail = Text("请说明区域", "Say which area: there is none to take by default")
        raise RequestInvalid.at("/area", "area.missing", detail)
    said = Area.parse(area) if area is not None else caller.areas[0]
    sessions: Sessions = request.state.sessions
    async with sessions.read() as session:
        place = await areas_repository.place(session, said)
        if place is None:
            raise await _unknown(request, session)
    if Role.RESIDENT not in caller.roles and not caller.sees(place):
        raise AreaForbidden()
    return said.code, place


async def _unknown(request: Request, session: ReadSession) -> Problem:
    # Before the register has been read once, no area is known and none can be called unknown.
    followers: tuple[Follower, ...] = request.state.followers
    for follower in followers:
        if await follower.cursor(session) is None:
            return Unavailable()
    detail = Text("没有这个区域", "The register has no such area")
    return RequestInvalid.at("/area", "area.unknown", detail)
