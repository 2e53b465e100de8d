"""Staged rows into the register, batch by batch, each batch one transaction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import column, exists, select, table, text, update

from services.common import areas
from services.common.areas import Area
from services.common.database import WriteSession
from services.residents_api.models import LedgerRow, Occupancy, Resident
from services.residents_api.repository import ledger_merge as sql
from services.residents_api.repository import people, states

BATCH_ROWS = 5_000

_MERGE_CODES = ("resident.elsewhere", "name.conflicts_with_register")

_RESOLVED = table("resolved", column("resident_id", sa.Uuid), column("is_new"), column("elsewhere"))


class Raced(Exception):
    """Somebody else wrote one of the batch's numbers meanwhile: do the batch again."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What is the same for every batch of an import."""

    import_id: UUID
    village_code: str
    importer_areas: tuple[Area, ...]
    today: date

    @property
    def source(self) -> str:
        """Who speaks: a village's ledger is one source, whatever its files are called."""
        return f"ledger:{self.village_code}"


@dataclass(slots=True)
class Counts:
    """What a batch did. Residents are distinct persons."""

    residents_created: int = 0
    residents_updated: int = 0
    residents_unchanged: int = 0
    dwellings_created: int = 0
    occupancies_created: int = 0

    def add(self, other: "Counts") -> None:
        for name in asdict(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


async def join_rows(session: WriteSession, import_id: UUID, *, tell: bool) -> None:
    """Once the file is staged: which rows are one person's and, to `tell`, which are said twice."""
    for statement in sql.COUNT_ON:
        await session.execute(text(statement))
    marks = (sql.MARK_DUPLICATES,) if tell else ()
    for statement in (sql.JOIN_UNNUMBERED, sql.GATHER, *marks):
        await session.execute(text(statement), {"import_id": import_id})


async def merge_batch(session: WriteSession, merge: Merge, *, first: int) -> Counts:
    """Merge the persons whose first row is one of the `BATCH_ROWS` from `first` on.

    Raises Raced if another transaction registered one of them meanwhile.
    """
    await _gather(session, merge, first)
    counts = Counts()
    parameters = {
        "import_id": merge.import_id,
        "village_code": merge.village_code,
        "today": merge.today,
        "source": merge.source,
    }

    async def run(statement: str) -> sa.CursorResult[Any]:
        clause = text(statement)
        wanted = {name: parameters[name] for name in clause.compile().params}
        return cast("sa.CursorResult[Any]", await session.execute(clause, wanted))

    await run(sql.LOCK_KNOWN)
    await session.execute(_elsewhere(merge))
    await _emit_new_areas(session, merge)
    await session.execute(text(sql.UNKNOWN_DWELLINGS.format(village_code=merge.village_code)))
    await run(sql.NEW_ADDRESSES)
    counts.dwellings_created = (await run(sql.NEW_DWELLINGS)).rowcount
    expected = await session.scalar(text(sql.COUNT_NEW_NUMBERS))
    if (await run(sql.NEW_NUMBERS)).rowcount != expected:
        raise Raced
    await run(sql.NEW_RESIDENTS)
    await session.execute(text(sql.CHANGES.format(source=merge.source)))
    for statement in (*sql.INDEX_CHANGES, sql.NEW_PHONES, sql.NEW_LABELS):
        await run(statement)
    counts.occupancies_created = (await run(sql.NEW_OCCUPANCIES)).scalar_one()
    for statement in (
        sql.CHANGED_OCCUPANCIES,
        sql.CHANGED_RESIDENTS,
        sql.STATEMENTS,
        sql.MARK_WARNINGS,
    ):
        await run(statement)
    persons: Any = (await run(sql.COUNTS)).one()
    counts.residents_created = persons.created
    counts.residents_updated = persons.updated
    counts.residents_unchanged = persons.unchanged
    await states.emit_selected(session, sql.WRITTEN, today=merge.today)
    return counts


async def _gather(session: WriteSession, merge: Merge, first: int) -> None:
    # The values are a UUID, two ints and a date of our own making.
    rows = sql.SELECT_ROWS.format(import_id=merge.import_id, first=first, end=first + BATCH_ROWS)
    resolve = sql.RESOLVE.format(today=merge.today)
    await session.execute(text(sql.ONE_AT_A_TIME), {"village_code": merge.village_code})
    for statement in (rows, sql.FIND_ROWS, sql.FOLD, resolve):
        await session.execute(text(statement))
    if await session.scalar(text(sql.SAID_APART)):
        for statement in (*sql.PUT_TOGETHER, sql.FOLD, resolve):
            await session.execute(text(statement))
    for statement in sql.INDEX:
        await session.execute(text(statement))


def _elsewhere(merge: Merge) -> sa.Update:
    """Known persons whom the importer's areas do not contain: no field of theirs is touched."""
    current = sa.and_(
        Occupancy.resident_id == _RESOLVED.c.resident_id,
        Occupancy.state == "approved",
        sa.or_(Occupancy.end_date.is_(None), Occupancy.end_date > merge.today),
    )
    inside = areas.within(
        merge.importer_areas,
        division=Occupancy.division_code,
        grid=Occupancy.grid_code,
        compound=Occupancy.compound_id,
    )
    kept_here = exists().where(
        Resident.id == _RESOLVED.c.resident_id,
        people.kept_within(merge.importer_areas),
    )
    return (
        update(_RESOLVED)
        .where(
            sa.not_(_RESOLVED.c.is_new),
            sa.not_(exists().where(current, inside)),
            sa.or_(exists().where(current), sa.not_(kept_here)),
        )
        .values(elsewhere=True)
    )


async def _emit_new_areas(session: WriteSession, merge: Merge) -> None:
    parameters = {"village_code": merge.village_code}
    grids = await session.execute(text(sql.NEW_GRIDS), parameters)
    found = [states.area("grid", row.code, row.code, row.village_code) for row in grids]
    compounds = await session.execute(text(sql.NEW_COMPOUNDS), parameters)
    found += [states.area("compound", str(row.id), row.name, row.village_code) for row in compounds]
    if found:
        await states.emit_areas(session, found)


def batches(rows: int, *, applied_to: int) -> Sequence[int]:
    """The first ordinals of the batches still to do."""
    return range(applied_to, rows, BATCH_ROWS)


# Within one transaction the next batch needs the names of the temporary tables again.
DROP_BATCH = "DROP TABLE batch_row, person, resolved, change, unknown_dwelling"


async def warnings(session: WriteSession, import_id: UUID) -> list[tuple[int, int, list[str]]]:
    """The rows' codes as a dry run left them, before it is taken back."""
    marked = select(LedgerRow.sheet_number, LedgerRow.row, LedgerRow.codes).where(
        LedgerRow.import_id == import_id, LedgerRow.codes.overlap(list(_MERGE_CODES))
    )
    return [(row.sheet_number, row.row, row.codes) for row in await session.execute(marked)]


async def write_warnings(
    session: WriteSession, import_id: UUID, codes: Sequence[tuple[int, int, list[str]]]
) -> None:
    """Keep the codes of a dry run that was taken back."""
    if codes:
        await session.execute(
            update(LedgerRow),
            [
                {"import_id": import_id, "sheet_number": sheet, "row": row, "codes": found}
                for sheet, row, found in codes
            ],
        )
