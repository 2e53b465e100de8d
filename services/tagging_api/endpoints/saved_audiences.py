"""`/v1/audiences`: rules with a name."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    AreasInQuery,
    AudienceInPath,
    CurrentClock,
    CurrentTargeting,
)
from services.tagging_api.errors import (
    RULE_REFUSALS,
    AudienceCycle,
    AudienceFrozen,
    AudienceInUse,
    AudienceNotFound,
)
from services.tagging_api.models import Audience
from services.tagging_api.repository import saved_audiences as repository
from services.tagging_api.schemas.saved_audiences import (
    AudienceCreate,
    AudienceFreeze,
    AudiencePage,
    AudienceRead,
    AudienceUpdate,
)
from services.tagging_api.service import saved_audiences as service

router = APIRouter(prefix="/v1", tags=["audiences"], route_class=UnitOfWorkRoute)

AudienceReader = Annotated[Caller, requires(Permission.AUDIENCES_COUNT)]
AudienceWriter = Annotated[Caller, requires(Permission.AUDIENCES_WRITE)]


@router.get("/audiences", responses=refuses(AreaForbidden))
async def list_audiences(
    caller: AudienceReader, session: Reading, areas: AreasInQuery, page: PageInQuery
) -> AudiencePage:
    """Saved audiences of your areas, newest first.

    Those with tags of the highest sensitivity need a permission of their own.
    """
    rows = await repository.page(
        session,
        within=areas,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        page=page,
    )
    rows, token = cut(rows, page, keys=lambda row: (row.id,))
    return AudiencePage(items=await service.shown(session, rows), next_page_token=token)


@router.post("/audiences", status_code=201, responses=refuses(AreaForbidden, *RULE_REFUSALS))
async def create_audience(
    caller: AudienceWriter,
    session: Writing,
    asked: AudienceCreate,
    clock: CurrentClock,
    targeting: CurrentTargeting,
    response: Response,
) -> AudienceRead:
    """Save a rule as an audience of your areas, or freeze whom it finds there now.

    Wherever it is used, it means those whom the rule finds within the areas of whoever saved it.
    """
    audience = await service.create(session, asked, caller=caller, clock=clock, targeting=targeting)
    response.headers["Location"] = f"/v1/audiences/{audience.id}"
    return await _shown(session, audience, response)


@router.get("/audiences/{audience_id}", responses=refuses(AudienceNotFound))
async def read_audience(
    _: AudienceReader, session: Reading, audience: AudienceInPath, response: Response
) -> AudienceRead:
    """One audience, with the `ETag` that an update asks for."""
    return await _shown(session, audience, response)


@router.patch(
    "/audiences/{audience_id}",
    responses=refuses(
        AudienceNotFound,
        AudienceFrozen,
        AudienceCycle,
        *RULE_REFUSALS,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def update_audience(
    caller: AudienceWriter,
    session: Writing,
    audience: AudienceInPath,
    version: IfMatch,
    asked: AudienceUpdate,
    clock: CurrentClock,
    response: Response,
) -> AudienceRead:
    """Rename an audience or change its rule. What is absent stays as it is.

    Whatever is built upon it follows; it cannot be built upon itself.
    """
    changed = await service.update(
        session, audience.id, asked, version=version, caller=caller, clock=clock
    )
    return await _shown(session, changed, response)


@router.delete(
    "/audiences/{audience_id}",
    status_code=204,
    responses=refuses(AudienceNotFound, AudienceInUse),
)
async def delete_audience(_: AudienceWriter, session: Writing, audience: AudienceInPath) -> None:
    """Remove an audience upon which no other is built, nor what is still to be sent or drawn."""
    await service.delete(session, audience.id)


@router.post(
    "/audiences/{audience_id}/freeze",
    status_code=201,
    responses=refuses(AudienceNotFound, *RULE_REFUSALS),
)
async def freeze_audience(
    caller: AudienceWriter,
    session: Writing,
    audience: AudienceInPath,
    asked: AudienceFreeze,
    clock: CurrentClock,
    targeting: CurrentTargeting,
    response: Response,
) -> AudienceRead:
    """A new audience: whom this one has now, and always will."""
    frozen = await service.freeze(
        session, audience, asked, caller=caller, clock=clock, targeting=targeting
    )
    response.headers["Location"] = f"/v1/audiences/{frozen.id}"
    return await _shown(session, frozen, response)


async def _shown(session: Reading, audience: Audience, response: Response) -> AudienceRead:
    response.headers["ETag"] = etag(audience.version)
    return (await service.shown(session, [audience]))[0]
