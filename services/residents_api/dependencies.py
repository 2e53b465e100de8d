"""What endpoints are handed: the caller's areas, rows by path id, or a refusal."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from services.common.areas import Area, AreaKind
from services.common.routing import Reading
from services.common.schemas import AreaCode
from services.common.security import CurrentCaller
from services.residents_api.repository import areas as areas_repository

AreaQuery = Annotated[
    AreaCode | None,
    Query(description="Only what lies in this area; by default all of the caller's areas."),
]


async def areas_in_query(
    session: Reading, caller: CurrentCaller, area: AreaQuery = None
) -> tuple[Area, ...]:
    """The areas to list. Refuses an area outside the caller's."""
    village = None
    if area is not None and Area.parse(area).kind is AreaKind.COMPOUND:
        village = await areas_repository.village_of_compound(session, UUID(area))
    return caller.narrowed(area, village_code=village)


AreasInQuery = Annotated[tuple[Area, ...], Depends(areas_in_query)]
