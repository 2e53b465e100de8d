"""`/history` of residents, dwellings and occupancies."""

from typing import Annotated

from fastapi import APIRouter

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    DwellingOnRecord,
    OccupancyOnRecord,
    RegisterSealer,
    ResidentInPath,
)
from services.residents_api.errors import (
    DwellingNotFound,
    OccupancyNotFound,
    ResidentMerged,
    ResidentNotFound,
)
from services.residents_api.schemas.history import HistoryPage
from services.residents_api.service import history as service

router = APIRouter(prefix="/v1", tags=["history"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]


@router.get("/residents/{resident_id}/history", responses=refuses(ResidentNotFound, ResidentMerged))
async def list_resident_history(
    _: Reader, session: Reading, sealer: RegisterSealer, row: ResidentInPath, page: PageInQuery
) -> HistoryPage:
    """Who changed what of a resident, of their numbers and of where they live; newest first."""
    return await service.of_resident(session, sealer, row.id, page=page)


@router.get("/dwellings/{dwelling_id}/history", responses=refuses(DwellingNotFound))
async def list_dwelling_history(
    _: Reader, session: Reading, sealer: RegisterSealer, row: DwellingOnRecord, page: PageInQuery
) -> HistoryPage:
    """Who changed what of a dwelling, also of one that is deleted; newest first."""
    return await service.of_dwelling(session, sealer, row.id, page=page)


@router.get("/occupancies/{occupancy_id}/history", responses=refuses(OccupancyNotFound))
async def list_occupancy_history(
    _: Reader, session: Reading, sealer: RegisterSealer, row: OccupancyOnRecord, page: PageInQuery
) -> HistoryPage:
    """Who changed what of an occupancy, also of one that is deleted; newest first."""
    return await service.of_occupancy(session, sealer, row, page=page)
