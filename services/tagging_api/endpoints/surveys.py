"""`/v1/surveys`: a few questions to a random sample of an audience."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import CurrentClock, CurrentTargeting, SurveyInPath
from services.tagging_api.errors import (
    RULE_REFUSALS,
    SurveyAudienceEmpty,
    SurveyClosed,
    SurveyDrawn,
    SurveyNotDrawn,
    SurveyNotFound,
    TagArchived,
)
from services.tagging_api.repository import surveys as repository
from services.tagging_api.schemas.surveys import (
    SurveyCreate,
    SurveyDraw,
    SurveyPage,
    SurveyRead,
    SurveyState,
    SurveyUpdate,
    SurveyVisits,
    VisitsSpread,
)
from services.tagging_api.schemas.visits import SurveyResults
from services.tagging_api.service import survey_results
from services.tagging_api.service import surveys as service

router = APIRouter(prefix="/v1", tags=["surveys"], route_class=UnitOfWorkRoute)

SurveyReader = Annotated[Caller, requires(Permission.SURVEYS_READ)]
SurveyWriter = Annotated[Caller, requires(Permission.SURVEYS_WRITE)]


@router.get("/surveys")
async def list_surveys(
    caller: SurveyReader,
    session: Reading,
    page: PageInQuery,
    state: Annotated[SurveyState | None, Query(description="Only those in this state.")] = None,
) -> SurveyPage:
    """Surveys of your areas, newest first.

    Those of an audience of the highest sensitivity need a permission of their own, here and below.
    """
    rows = await repository.page(
        session,
        state=state,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        within=caller.areas,
        page=page,
    )
    shown, token = cut(rows, page, keys=lambda row: (row.id,))
    items = await service.shown(session, shown, caller=caller)
    return SurveyPage(items=items, next_page_token=token)


@router.post(
    "/surveys", status_code=201, responses=refuses(AreaForbidden, TagArchived, *RULE_REFUSALS)
)
async def create_survey(
    caller: SurveyWriter,
    session: Writing,
    asked: SurveyCreate,
    clock: CurrentClock,
    response: Response,
) -> SurveyRead:
    """A draft: who is to be asked what. Nobody is drawn yet.

    With `tag_if`, whoever answers so gets that tag.
    """
    survey = await service.create(session, asked, caller=caller, clock=clock)
    response.headers["Location"] = f"/v1/surveys/{survey.id}"
    response.headers["ETag"] = etag(survey.version)
    return (await service.shown(session, [survey], caller=caller))[0]


@router.get("/surveys/{survey_id}", responses=refuses(SurveyNotFound))
async def read_survey(
    caller: SurveyReader, session: Reading, survey: SurveyInPath, response: Response
) -> SurveyRead:
    """One survey, with the `ETag` that an update asks for."""
    response.headers["ETag"] = etag(survey.version)
    return (await service.shown(session, [survey], caller=caller))[0]


@router.patch(
    "/surveys/{survey_id}",
    responses=refuses(
        SurveyNotFound,
        SurveyDrawn,
        PreconditionFailed,
        PreconditionRequired,
        TagArchived,
        *RULE_REFUSALS,
    ),
)
async def update_survey(
    caller: SurveyWriter,
    session: Writing,
    survey: SurveyInPath,
    version: IfMatch,
    asked: SurveyUpdate,
    clock: CurrentClock,
    response: Response,
) -> SurveyRead:
    """Change a draft. What is absent stays as it is."""
    changed = await service.update(
        session, survey.id, asked, version=version, caller=caller, clock=clock
    )
    response.headers["ETag"] = etag(changed.version)
    return (await service.shown(session, [changed], caller=caller))[0]


@router.post(
    "/surveys/{survey_id}/draw",
    responses=refuses(
        SurveyNotFound, SurveyDrawn, SurveyAudienceEmpty, TagArchived, *RULE_REFUSALS
    ),
)
async def draw_survey(
    caller: SurveyWriter,
    session: Writing,
    survey: SurveyInPath,
    asked: SurveyDraw,
    clock: CurrentClock,
    targeting: CurrentTargeting,
) -> SurveyVisits:
    """Draw the sample, once: a visit for each of `n` members of the audience aged 14 or over.

    The audience lies within the areas of whoever wrote the survey. Visits are spread evenly over
    the `assignees`, each within the areas named; any worker there may take one that is left.
    """
    return await service.draw(
        session, survey.id, asked, caller=caller, clock=clock, targeting=targeting
    )


@router.post(
    "/surveys/{survey_id}/visits", responses=refuses(SurveyNotFound, SurveyNotDrawn, SurveyClosed)
)
async def spread_visits(
    _: SurveyWriter, session: Writing, survey: SurveyInPath, asked: VisitsSpread
) -> SurveyVisits:
    """Spread the open visits that nobody has evenly over workers."""
    return await service.spread_visits(session, survey.id, asked.assignees)


@router.post("/surveys/{survey_id}/close", responses=refuses(SurveyNotFound, SurveyNotDrawn))
async def close_survey(
    caller: SurveyWriter, session: Writing, survey: SurveyInPath, clock: CurrentClock
) -> SurveyRead:
    """Take no more answers. Closing a closed survey changes nothing."""
    closed = await service.close(session, survey.id, clock=clock)
    return (await service.shown(session, [closed], caller=caller))[0]


@router.get("/surveys/{survey_id}/results", responses=refuses(SurveyNotFound, SurveyNotDrawn))
async def read_survey_results(
    caller: SurveyReader, session: Reading, survey: SurveyInPath
) -> SurveyResults:
    """What was answered so far, with 95 % intervals, beside what the data had predicted.

    Counts under five of a sensitive audience are left out, and what they could be worked out from,
    without the permission for the highest sensitivity. Free text is shown to whoever may write
    surveys.
    """
    return await survey_results.results(session, survey, caller=caller)
