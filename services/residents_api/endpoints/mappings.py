"""`/v1/ledger-mappings`: what one village's ledgers call their columns."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.common.access import Permission
from services.common.areas import Place
from services.common.database import ReadSession
from services.common.errors import refuses
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import Now
from services.residents_api.errors import DivisionNotFound
from services.residents_api.models import Division, LedgerMapping
from services.residents_api.schemas.mappings import LedgerMappingRead, LedgerMappingWrite

router = APIRouter(prefix="/v1/ledger-mappings", tags=["imports"], route_class=UnitOfWorkRoute)

Importer = Annotated[Caller, requires(Permission.RESIDENTS_IMPORT)]
Village = Annotated[str, Path(pattern="^[0-9]{12}$", examples=["510182104006"])]


@router.get("/{village_code}", responses=refuses(AreaForbidden, DivisionNotFound))
async def show_ledger_mapping(
    caller: Importer, session: Reading, village_code: Village
) -> LedgerMappingRead:
    """What the headings of this village's ledgers mean, beside those that are understood anyway."""
    await _check(session, caller, village_code)
    found = await session.get(LedgerMapping, village_code)
    if found is None:
        return LedgerMappingRead(
            village_code=village_code, columns={}, updated_by=None, updated_at=None
        )
    return LedgerMappingRead.model_validate(found)


@router.put("/{village_code}", responses=refuses(AreaForbidden, DivisionNotFound))
async def replace_ledger_mapping(
    caller: Importer, session: Writing, village_code: Village, wanted: LedgerMappingWrite, now: Now
) -> LedgerMappingRead:
    """Say what the headings of this village's ledgers mean, from the next import on.

    It comes before what the headings are understood as by themselves.
    """
    await _check(session, caller, village_code)
    row = await session.merge(
        LedgerMapping(
            village_code=village_code,
            columns=dict(wanted.columns),
            updated_by=caller.sub,
            updated_at=now,
        )
    )
    await session.flush()
    return LedgerMappingRead.model_validate(row)


async def _check(session: ReadSession, caller: Caller, village_code: str) -> None:
    if not caller.sees(Place(village_code)):
        raise AreaForbidden()
    if await session.get(Division, village_code) is None:
        raise DivisionNotFound()
