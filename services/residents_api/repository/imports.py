"""Import jobs and what became of their rows."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import LedgerImport, LedgerRow
from services.residents_api.schemas.imports import RowOutcome


async def imports(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> tuple[Sequence[LedgerImport], str | None]:
    """Newest first: ids grow with time."""
    statement = select(LedgerImport).where(areas.within(within, division=LedgerImport.village_code))
    if (after := page.after(tuple[UUID])) is not None:
        statement = statement.where(LedgerImport.id < after[0])
    statement = statement.order_by(LedgerImport.id.desc()).limit(page.size + 1)
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.id,))


async def rows(
    session: ReadSession,
    import_id: UUID,
    *,
    outcome: RowOutcome | None,
    has_codes: bool | None,
    page: PageRequest,
) -> tuple[Sequence[LedgerRow], str | None]:
    """In the order of the file."""
    statement = select(LedgerRow).where(LedgerRow.import_id == import_id)
    if outcome is not None:
        statement = statement.where(LedgerRow.outcome == outcome.value)
    if has_codes is not None:
        statement = statement.where((func.cardinality(LedgerRow.codes) > 0) == has_codes)
    statement = pagination.keyset(
        statement,
        LedgerRow.sheet_number,
        LedgerRow.row,
        after=page.after(tuple[int, int]),
        size=page.size,
    )
    found = (await session.scalars(statement)).all()
    return pagination.cut(found, page, keys=lambda row: (row.sheet_number, row.row))
