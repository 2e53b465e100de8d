"""Who read plain values of whom: for auditors, and for whoever it was about."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery
from services.common.routing import Reading, UnitOfWorkRoute
from services.common.security import Caller, requires
from services.residents_api.dependencies import Today
from services.residents_api.errors import ResidentNotFound
from services.residents_api.models import NOBODY
from services.residents_api.repository import accesses as repository
from services.residents_api.repository import people
from services.residents_api.schemas.accesses import (
    AccessOfAnybodyPage,
    AccessOfAnybodyRead,
    AccessPage,
)

router = APIRouter(prefix="/v1", tags=["accesses"], route_class=UnitOfWorkRoute)

Auditor = Annotated[Caller, requires(Permission.ACCESSES_READ)]
Self = Annotated[Caller, requires(Permission.ACCESSES_READ_OWN)]


@router.get("/residents/{resident_id}/accesses", responses=refuses(ResidentNotFound))
async def list_accesses(
    caller: Auditor, session: Reading, resident_id: UUID, page: PageInQuery, on: Today
) -> AccessPage:
    """Who read plain values of this person, and what for; also of one who is erased since."""
    found = await people.resident(session, resident_id, within=caller.areas, on=on, erased=True)
    if found is None:
        raise ResidentNotFound()
    rows, token = await repository.of_resident(session, resident_id, page=page)
    return AccessPage.model_validate({"items": rows, "next_page_token": token})


@router.get("/me/accesses")
async def list_my_accesses(caller: Self, session: Reading, page: PageInQuery) -> AccessPage:
    """Who read plain values of you; none for an account that is tied to no resident."""
    if caller.resident_id is None:
        return AccessPage(items=[], next_page_token=None)
    rows, token = await repository.of_resident(session, caller.resident_id, page=page)
    return AccessPage.model_validate({"items": rows, "next_page_token": token})


Moment = Annotated[AwareDatetime | None, Query(examples=["2026-03-01T08:30:00Z"])]


@router.get("/accesses")
async def list_accesses_of_anybody(
    caller: Auditor,
    session: Reading,
    page: PageInQuery,
    on: Today,
    actor: Annotated[
        str | None,
        Query(max_length=200, pattern=r"^[^\x00-\x1f]+$", description="Who it was."),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Not included.")] = None,
) -> AccessOfAnybodyPage:
    """What those of the auditor's areas read, or tried to, and what anybody read of residents there;
    look-ups that found nobody among it. Newest first.
    """
    rows, token = await repository.within(
        session, caller.areas, on=on, actor=actor, since=since, until=until, page=page
    )
    items = [
        AccessOfAnybodyRead.model_validate(row).model_copy(
            update={"resident_id": None if row.resident_id == NOBODY else row.resident_id}
        )
        for row in rows
    ]
    return AccessOfAnybodyPage(items=items, next_page_token=token)
