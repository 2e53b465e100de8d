"""`/v1/statistics`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.common.access import Permission
from services.common.areas import Area, AreaKind
from services.common.errors import refuses
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.schemas import AreaCode
from services.common.security import Caller, requires
from services.residents_api.dependencies import Today, areas_of
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository.statistics import MONTHS
from services.residents_api.schemas.statistics import PopulationRead, TrendRead
from services.residents_api.service import statistics as service

router = APIRouter(prefix="/v1/statistics", tags=["statistics"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.STATISTICS_READ)]
AreaAsked = Annotated[AreaCode, Query(description="Which area to count.", examples=["510182104"])]


@router.get("/population", responses=refuses(AreaForbidden))
async def count_population(caller: Reader, session: Reading, area: AreaAsked) -> PopulationRead:
    """People, households and dwellings of an area; a write shows within a second."""
    areas = await areas_of(session, caller, area)
    asked = Area.parse(area)
    village = None
    if asked.kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(area))
    return await service.population(session, asked, areas, village=village)


@router.get("/trend", responses=refuses(AreaForbidden))
async def count_trend(
    caller: Reader,
    session: Reading,
    area: AreaAsked,
    on: Today,
    months: Annotated[int, Query(ge=1, le=MONTHS + 1, description="How many, to this one.")] = 12,
) -> TrendRead:
    """Residents of an area and moves in and out, month by month, by the days that are registered."""
    areas = await areas_of(session, caller, area)
    return await service.trend(session, Area.parse(area), areas, months=months, today=on)
