"""`/v1/site-plans`: where to put a service."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, late_transaction
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    AreasInQuery,
    CurrentClock,
    CurrentTargeting,
    OwnSessions,
)
from services.tagging_api.errors import RULE_REFUSALS, SitePlanNotFound
from services.tagging_api.repository import site_plans as repository
from services.tagging_api.schemas.site_plans import (
    SitePlanCreate,
    SitePlanPage,
    SitePlanRead,
)
from services.tagging_api.service import site_plans as service

router = APIRouter(prefix="/v1", tags=["site plans"], route_class=UnitOfWorkRoute)

Planner = Annotated[Caller, requires(Permission.SITE_PLANS_WRITE)]


@router.get("/site-plans", responses=refuses(AreaForbidden))
async def list_site_plans(
    caller: Planner, session: Reading, areas: AreasInQuery, page: PageInQuery
) -> SitePlanPage:
    """Plans for areas of yours, newest first."""
    rows = await repository.page(
        session,
        within=areas,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        page=page,
    )
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return SitePlanPage.model_validate({"items": items, "next_page_token": token})


@router.post("/site-plans", status_code=201, responses=refuses(AreaForbidden, *RULE_REFUSALS))
@late_transaction  # reads and reckons before its one statement
async def create_site_plan(
    caller: Planner,
    session: Writing,
    asked: SitePlanCreate,
    clock: CurrentClock,
    targeting: CurrentTargeting,
    sessions: OwnSessions,
    response: Response,
) -> SitePlanRead:
    """Choose up to `places` compounds so that as much demand as can be lies within walking distance.

    Each choice comes with its reasons, and the plan with how good it is at least. The same data
    gives the same plan. A rule of the highest sensitivity needs a permission of its own.
    """
    gathered = await service.gather(
        sessions, asked, caller=caller, clock=clock, targeting=targeting
    )
    found = await service.made(asked, gathered)
    plan = await service.store(session, asked, gathered, found, caller=caller, clock=clock)
    response.headers["Location"] = f"/v1/site-plans/{plan.id}"
    return SitePlanRead.model_validate(plan)


@router.get("/site-plans/{plan_id}", responses=refuses(SitePlanNotFound))
async def read_site_plan(caller: Planner, session: Reading, plan_id: UUID) -> SitePlanRead:
    """A plan as it was made."""
    plan = await repository.visible(
        session,
        plan_id,
        within=caller.areas,
        roles=caller.roles,
        highest_too=caller.may(Permission.TAGS_HIGHEST),
    )
    if plan is None:
        raise SitePlanNotFound()
    return SitePlanRead.model_validate(plan)
