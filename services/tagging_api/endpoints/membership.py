"""`/v1/audiences`: who is in one, and why."""

from typing import Annotated

from fastapi import APIRouter, Request

from services.common import clock as common_clock
from services.common import security
from services.common.access import Permission
from services.common.errors import refuses
from services.common.problems import Unavailable
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    CurrentClock,
    CurrentRegister,
    CurrentTargeting,
    OwnSessions,
)
from services.tagging_api.errors import (
    RULE_REFUSALS,
    ResidentUnknown,
)
from services.tagging_api.schemas.membership import (
    AudienceExplainRequest,
    AudienceExplanation,
    AudiencePreview,
    AudiencePreviewRequest,
)
from services.tagging_api.schemas.rules import parsed
from services.tagging_api.service import membership as service

router = APIRouter(prefix="/v1", tags=["audiences"], route_class=UnitOfWorkRoute)

AudienceReader = Annotated[Caller, requires(Permission.AUDIENCES_COUNT)]


@router.post("/audiences/preview", responses=refuses(*RULE_REFUSALS, Unavailable))
async def preview_audience(
    request: Request,
    caller: AudienceReader,
    asked: AudiencePreviewRequest,
    sessions: OwnSessions,
    clock: CurrentClock,
    targeting: CurrentTargeting,
    register: CurrentRegister,
) -> AudiencePreview:
    """Some of those whom the rule finds, masked, as the register shows them to you.

    For those who may read residents.
    """
    security.check(caller, Permission.RESIDENTS_READ)
    return await service.preview(
        sessions,
        asked,
        caller=caller,
        token=security.bearer(request),
        targeting=targeting,
        register=register,
        on=common_clock.today(clock),
    )


@router.post("/audiences/explain", responses=refuses(ResidentUnknown, *RULE_REFUSALS))
async def explain_audience(
    caller: AudienceReader, session: Reading, asked: AudienceExplainRequest, clock: CurrentClock
) -> AudienceExplanation:
    """Which parts of a rule hold for one resident of your areas, and whether all of it does.

    For those who may read residents.
    """
    security.check(caller, Permission.RESIDENTS_READ)
    return await service.explain(
        session,
        parsed(asked.rule),
        asked.resident_id,
        caller=caller,
        on=common_clock.today(clock),
    )
