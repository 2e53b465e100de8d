"""`/v1/visits`: to whom a survey leads, and what they answered."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import AreasInQuery, CurrentClock
from services.tagging_api.errors import SurveyClosed, VisitNotFound, VisitTaken
from services.tagging_api.models import Survey, Visit
from services.tagging_api.repository import visits as repository
from services.tagging_api.schemas.visits import (
    VisitAnswers,
    VisitDetail,
    VisitHandOver,
    VisitPage,
    VisitState,
)
from services.tagging_api.service import answers, visits

router = APIRouter(prefix="/v1", tags=["surveys"], route_class=UnitOfWorkRoute)

Visitor = Annotated[Caller, requires(Permission.VISITS_WRITE)]


@router.get("/visits", responses=refuses(AreaForbidden))
async def list_visits(
    caller: Visitor,
    session: Reading,
    areas: AreasInQuery,
    page: PageInQuery,
    survey_id: UUID | None = None,
    state: Annotated[VisitState | None, Query(description="Only those in this state.")] = None,
    mine: Annotated[bool, Query(description="Only those that are the caller's.")] = False,
) -> VisitPage:
    """Visits in your areas: your own and those that nobody has.

    Whoever may write surveys sees everybody's.
    """
    rows = await repository.page(
        session,
        survey_id=survey_id,
        state=state,
        mine=mine,
        account=visits.account(caller),
        everybodys=visits.sees_everybodys(caller),
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        within=areas,
        page=page,
    )
    shown, token = cut(rows, page, keys=lambda row: (row[0].id,))
    items = [_fields(visit, survey_name=name) for visit, name in shown]
    return VisitPage.model_validate({"items": items, "next_page_token": token})


@router.get("/visits/{visit_id}", responses=refuses(VisitNotFound))
async def read_visit(
    caller: Visitor, session: Reading, visit_id: UUID, response: Response
) -> VisitDetail:
    """One visit with its questions, and the `ETag` that a correction asks for."""
    return _shown(await visits.seen(session, visit_id, caller=caller), response)


@router.post(
    "/visits/{visit_id}/answers",
    responses=refuses(VisitNotFound, SurveyClosed, PreconditionFailed, PreconditionRequired),
)
async def answer_visit(
    caller: Visitor,
    session: Writing,
    visit_id: UUID,
    asked: VisitAnswers,
    clock: CurrentClock,
    response: Response,
    if_match: Annotated[
        str | None,
        Header(
            description="The `ETag` of what was read. Asked for only when a visit that is done or"
            " refused is corrected.",
            examples=['"3"'],
            max_length=100,
        ),
    ] = None,
) -> VisitDetail:
    """Record what came of a visit: `done` with answers, `not_met` (to be tried again) or `refused`.

    A visit that nobody has becomes yours. The same answers once more change nothing; others correct
    those given before. Faults in answers are told with a pointer to each.
    """
    recorded = await answers.record(
        session, visit_id, asked, if_match=if_match, caller=caller, clock=clock
    )
    return _shown(recorded, response)


@router.post("/visits/{visit_id}/take", responses=refuses(VisitNotFound, VisitTaken, SurveyClosed))
async def take_visit(
    caller: Visitor, session: Writing, visit_id: UUID, response: Response
) -> VisitDetail:
    """Make a visit that nobody has yours."""
    return _shown(await visits.take(session, visit_id, caller=caller), response)


@router.post("/visits/{visit_id}/hand-over", responses=refuses(VisitNotFound, SurveyClosed))
async def hand_over_visit(
    caller: Visitor, session: Writing, visit_id: UUID, asked: VisitHandOver, response: Response
) -> VisitDetail:
    """Give a visit of yours, or one that nobody has, to another worker or back to all."""
    given = await visits.hand_over(session, visit_id, asked.account, caller=caller)
    return _shown(given, response)


def _fields(visit: Visit, *, survey_name: str) -> dict[str, object]:
    return {
        "id": visit.id,
        "survey_id": visit.survey_id,
        "survey_name": survey_name,
        "resident_id": visit.resident_id,
        "division_code": visit.division_code,
        "grid_code": visit.grid_code,
        "compound_id": visit.compound_id,
        "assignee": visit.assignee,
        "state": visit.state,
        "attempts": visit.attempts,
        "visited_at": visit.visited_at,
    }


def _shown(found: tuple[Visit, Survey], response: Response) -> VisitDetail:
    visit, survey = found
    response.headers["ETag"] = etag(visit.version)
    more = {
        "topic": survey.topic,
        "survey_state": survey.state,
        "questions": survey.questions,
        "answers": visit.answers,
    }
    return VisitDetail.model_validate(_fields(visit, survey_name=survey.name) | more)
