"""`/v1/divisions` and `/v1/compounds`: open to every account, for they name no person."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.residents_api.dependencies import AreasInQuery
from services.residents_api.repository import areas as repository
from services.residents_api.schemas.areas import CompoundPage, DivisionPage

router = APIRouter(prefix="/v1", tags=["areas"], route_class=UnitOfWorkRoute)

ReferenceReader = Annotated[Caller, requires(Permission.REFERENCE_READ)]


@router.get("/divisions")
async def list_divisions(
    _: ReferenceReader,
    session: Reading,
    page: PageInQuery,
    parent_code: Annotated[
        str | None, Query(pattern="^[0-9]{2,12}$", examples=["510182104"])
    ] = None,
) -> DivisionPage:
    """Divisions below `parent_code`; without it, the roots of the tree."""
    rows = await repository.divisions(session, parent_code=parent_code, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.code,))
    return DivisionPage.model_validate({"items": items, "next_page_token": token})


@router.get("/compounds", responses=refuses(AreaForbidden))
async def list_compounds(
    _: ReferenceReader, session: Reading, areas: AreasInQuery, page: PageInQuery
) -> CompoundPage:
    """Compounds within an area, in the order of their villages."""
    rows = await repository.compounds(session, within=areas, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.village_code, row.id))
    return CompoundPage.model_validate({"items": items, "next_page_token": token})
