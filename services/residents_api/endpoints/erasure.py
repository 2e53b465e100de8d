"""`/v1/residents/{id}/erase`"""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Request

from services.common.access import Permission
from services.common.errors import refuses
from services.common.routing import UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import LockedResidentInPath, Now, RegisterSealer, Today
from services.residents_api.errors import (
    ExportUnderWay,
    LedgerUnderWay,
    ResidentMerged,
    ResidentNotFound,
)
from services.residents_api.schemas.people import ErasureRequest
from services.residents_api.service import erasure as service
from services.residents_api.service.ledger.keeping import LedgerStore

router = APIRouter(prefix="/v1/residents", tags=["residents"], route_class=UnitOfWorkRoute)

Eraser = Annotated[Caller, requires(Permission.RESIDENTS_ERASE)]


@router.post(
    "/{resident_id}/erase",
    status_code=204,
    responses=refuses(ResidentNotFound, ResidentMerged, LedgerUnderWay, ExportUnderWay),
)
async def erase_resident(
    request: Request,
    caller: Eraser,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: ErasureRequest,
    now: Now,
    on: Today,
    after_commit: BackgroundTasks,
) -> None:
    """Erase a person for good: values, history, and kept ledgers of where they lived.

    Statistics of the past and the record of who read them stay. There is no way back.
    """
    files = await service.erase(
        session, sealer, row, reason=wanted.reason, caller=caller, now=now, today=on
    )
    store: LedgerStore = request.state.store
    # If this process is killed before: no import names them any more, and strays are swept up.
    for key in files:
        after_commit.add_task(store.delete, key)
