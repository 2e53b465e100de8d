"""Import jobs and what became of their rows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ARRAY, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.domain.codes import RowCode
from services.residents_api.models import LedgerImport, LedgerRow
from services.residents_api.schemas.imports import RowEffect, RowOutcome

_ROWS_AT_ONCE = 5_000


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
    job: LedgerImport,
    *,
    outcome: RowOutcome | None,
    effect: RowEffect | None,
    has_codes: bool | None,
    page: PageRequest,
) -> tuple[Sequence[LedgerRow], str | None]:
    """In the order of the file."""
    statement = select(LedgerRow).where(LedgerRow.import_id == job.id)
    if effect is RowEffect.CREATED:
        statement = statement.where(
            LedgerRow.outcome == RowOutcome.ACCEPTED.value,
            LedgerRow.effect.is_(None),
            sa.literal(says_created(job)),
        )
    elif effect is not None:
        statement = statement.where(LedgerRow.effect == effect.value)
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


async def all_rows(session: ReadSession, import_id: UUID) -> AsyncGenerator[Sequence[LedgerRow]]:
    """In the order of the file, some thousands at a time."""
    place = (LedgerRow.sheet_number, LedgerRow.row)
    after = (-1, -1)
    while True:
        found = (
            await session.scalars(
                select(LedgerRow)
                .where(LedgerRow.import_id == import_id, sa.tuple_(*place) > after)
                .order_by(*place)
                .limit(_ROWS_AT_ONCE)
            )
        ).all()
        if not found:
            return
        yield found
        after = (found[-1].sheet_number, found[-1].row)
        session.expunge_all()


def says_created(job: LedgerImport) -> bool:
    """Whether an accepted row without an effect is that of a new person: every row is merged that is
    still told of.
    """
    return job.tells_effects and job.finished_at is not None


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, on how many rows it stands, and where first: (sheet, row) in the file's order."""

    code: RowCode
    rows: int
    first: tuple[tuple[str, int], ...]


async def reasons(session: ReadSession, import_id: UUID, *, first: int = 5) -> list[Reason]:
    """Every code that the rows of an import have, the commonest first."""
    said = (
        select(
            func.unnest(LedgerRow.codes).label("code"),
            *(LedgerRow.sheet_number, LedgerRow.sheet, LedgerRow.row),
        )
        .where(LedgerRow.import_id == import_id)
        .subquery()
    )
    order = (said.c.sheet_number, said.c.row)
    sheets = func.array_agg(aggregate_order_by(said.c.sheet, *order), type_=ARRAY(Text))
    numbers = func.array_agg(aggregate_order_by(said.c.row, *order), type_=ARRAY(Integer))
    found = await session.execute(
        select(said.c.code, func.count(), sheets[1:first], numbers[1:first])
        .group_by(said.c.code)
        .order_by(func.count().desc(), said.c.code)
    )
    return [
        Reason(name, rows, tuple(zip(in_sheets, in_rows, strict=True)))
        for name, rows, in_sheets, in_rows in found
    ]
