"""`/v1/dwellings/{id}/household`."""

from typing import Annotated

from fastapi import APIRouter

from services.common.access import Permission
from services.common.errors import refuses
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import DwellingInPath, Now, Today, dwelling_in_path
from services.residents_api.endpoints.housing import read_of
from services.residents_api.errors import (
    AlreadyLivesThere,
    BuildingDemolished,
    DwellingNotFound,
    HouseholdWithoutHead,
    TwoHeads,
)
from services.residents_api.schemas.households import HouseholdMove, HouseholdMoved, HouseholdRead
from services.residents_api.service import households as service

router = APIRouter(prefix="/v1/dwellings", tags=["occupancies"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]


@router.get("/{dwelling_id}/household", responses=refuses(DwellingNotFound))
async def show_household(
    _: Reader, session: Reading, dwelling: DwellingInPath, on: Today
) -> HouseholdRead:
    """The household of a dwelling, masked: its head, and how the others are related to them."""
    return await service.shown(session, dwelling, today=on)


@router.post(
    "/{dwelling_id}/move-household",
    status_code=201,
    responses=refuses(
        DwellingNotFound, HouseholdWithoutHead, TwoHeads, BuildingDemolished, AlreadyLivesThere
    ),
)
async def move_household(
    caller: Writer,
    session: Writing,
    dwelling: DwellingInPath,
    wanted: HouseholdMove,
    now: Now,
    on: Today,
) -> HouseholdMoved:
    """A household moves, as one: all of it or nobody. Both dwellings must be within your areas."""
    to = await dwelling_in_path(wanted.dwelling_id, session, caller)
    rows = await service.move(session, dwelling, to, wanted, now=now, today=on)
    return HouseholdMoved(items=[read_of(row, on) for row in rows], next_page_token=None)
