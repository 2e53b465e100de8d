"""Staged rows into the register, batch by batch, each batch one transaction."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import IO, Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import column, exists, func, select, table, text, update
from sqlalchemy.exc import DBAPIError

from services.common import areas, errors
from services.common.areas import Area
from services.common.database import WriteSession
from services.residents_api.models import LedgerRow, Occupancy, Resident
from services.residents_api.repository import ledger_gather as gather
from services.residents_api.repository import ledger_merge as sql
from services.residents_api.repository import ledger_told as telling
from services.residents_api.repository import people, states
from services.residents_api.schemas.people import ResidentState

BATCH_ROWS = 5_000

_LOCK_NOT_AVAILABLE = "55P03"

_RESOLVED = table("resolved", column("resident_id", sa.Uuid), column("is_new"), column("elsewhere"))


def source(village_code: str) -> str:
    """Who speaks: a village's ledger is one source, whatever its files are called."""
    return f"ledger:{village_code}"


class Raced(Exception):
    """Somebody else wrote one of the batch's numbers meanwhile: do the batch again."""


class Busy(Exception):
    """Another import of the village is at work: wait for it."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What is the same for every batch of an import."""

    import_id: UUID
    village_code: str
    importer_areas: tuple[Area, ...]
    today: date
    importer: str

    @property
    def source(self) -> str:
        return source(self.village_code)

    @property
    def origin(self) -> str:
        """Where its changes come from, in the history of whom it changes."""
        return f"import:{self.import_id}"


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
    for statement in gather.COUNT_ON:
        await session.execute(text(statement))
    marks = (telling.MARK_DUPLICATES,) if tell else ()
    for statement in (gather.JOIN_UNNUMBERED, gather.GATHER, *marks):
        await session.execute(text(statement), {"import_id": import_id})


async def merge_batch(session: WriteSession, merge: Merge, *, first: int) -> Counts:
    """Merge the persons whose first row is one of the `BATCH_ROWS` from `first` on.

    Raises Busy if another import of the village goes on for long, Raced if another transaction
    registered one of them meanwhile.
    """
    await _one_at_a_time(session, merge)
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
    neighbours = (await run(sql.NEW_GRIDS_OF_DWELLINGS)).scalars().all()
    expected = await session.scalar(text(sql.COUNT_NEW_NUMBERS))
    if (await run(sql.NEW_NUMBERS)).rowcount != expected:
        raise Raced
    await run(sql.NEW_RESIDENTS)
    await session.execute(text(sql.CHANGES.format(source=merge.source)))
    for statement in (*sql.INDEX_CHANGES, sql.NEW_PHONES, sql.NEW_LABELS):
        await run(statement)
    if (await run(sql.HAS_DEMOLISHED)).scalar_one():
        await run(sql.LEAVE_OUT_DEMOLISHED)
    counts.occupancies_created = (await run(sql.NEW_OCCUPANCIES)).scalar_one()
    for statement in (
        sql.CHANGED_OCCUPANCIES,
        sql.CHANGED_RESIDENTS,
        sql.STATEMENTS,
        telling.MARK_WARNINGS,
        telling.TELL_EFFECTS,
    ):
        await run(statement)
    persons: Any = (await run(sql.COUNTS)).one()
    counts.residents_created = persons.created
    counts.residents_updated = persons.updated
    counts.residents_unchanged = persons.unchanged
    await states.emit_selected(session, sql.WRITTEN, today=merge.today)
    if neighbours:
        await states.emit_residents(session, neighbours, today=merge.today)
    return counts


async def forget_unmerged(session: WriteSession, import_id: UUID, *, applied_to: int) -> int:
    """Take back what was told of accepted rows that were not merged; how many were."""
    parameters = {"import_id": import_id, "applied_to": applied_to}
    await session.execute(text(telling.FORGET_UNMERGED), parameters)
    told = select(func.count()).where(
        LedgerRow.import_id == import_id, LedgerRow.outcome == "accepted"
    )
    return await session.scalar(told) or 0


async def analyze(session: WriteSession) -> None:
    """Fresh statistics after many new rows: with old ones a list of residents takes a second."""
    await session.execute(text(sql.ANALYZE))


async def _one_at_a_time(session: WriteSession, merge: Merge) -> None:
    # A dry run of a large ledger holds the village for longer than a statement may take: who waits
    # for it comes back every few seconds, to keep the lease and to hear whether to stop.
    await session.execute(text(sql.WAIT_A_LITTLE))
    try:
        await session.execute(text(sql.ONE_AT_A_TIME), {"village_code": merge.village_code})
    except DBAPIError as refused:
        if errors.sqlstate(refused) == _LOCK_NOT_AVAILABLE:
            raise Busy from None
        raise
    await session.execute(text(sql.WAIT_AS_EVER))


async def _gather(session: WriteSession, merge: Merge, first: int) -> None:
    # The values are a UUID, two ints and a date of our own making.
    rows = gather.SELECT_ROWS.format(import_id=merge.import_id, first=first, end=first + BATCH_ROWS)
    resolve = gather.RESOLVE.format(today=merge.today)
    for statement in (rows, gather.FIND_ROWS, gather.FOLD, resolve):
        await session.execute(text(statement))
    if await session.scalar(text(gather.SAID_APART)):
        for statement in (*gather.PUT_TOGETHER, gather.FOLD, resolve):
            await session.execute(text(statement))
    for statement in gather.INDEX:
        await session.execute(text(statement))


def _elsewhere(merge: Merge) -> sa.Update:
    """Known persons whom the importer's areas do not contain, or who have died or moved out: no
    field of theirs is touched.
    """
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
    gone = exists().where(
        Resident.id == _RESOLVED.c.resident_id, Resident.state != ResidentState.ACTIVE.value
    )
    lives_elsewhere = sa.and_(
        sa.not_(exists().where(current, inside)),
        sa.or_(exists().where(current), sa.not_(kept_here)),
    )
    return (
        update(_RESOLVED)
        .where(sa.not_(_RESOLVED.c.is_new), sa.or_(gone, lives_elsewhere))
        .values(elsewhere=True)
    )


async def _emit_new_areas(session: WriteSession, merge: Merge) -> None:
    parameters = {"village_code": merge.village_code}
    grids = await session.execute(text(sql.NEW_GRIDS), parameters)
    found = [states.new_grid(row.code, row.village_code) for row in grids]
    compounds = await session.execute(text(sql.NEW_COMPOUNDS), parameters)
    found += [states.new_compound(row.id, row.name, row.village_code) for row in compounds]
    if found:
        await states.emit_areas(session, found)


def batches(rows: int, *, applied_to: int) -> Sequence[int]:
    """The first ordinals of the batches still to do."""
    return range(applied_to, rows, BATCH_ROWS)


# Within one transaction the next batch needs the names of the temporary tables again.
DROP_BATCH = "DROP TABLE batch_row, person, resolved, change, unknown_dwelling"


@asynccontextmanager
async def put_aside() -> AsyncGenerator[IO[bytes]]:
    """Where to keep what a dry run found out. Nothing personal; a file, for it may be long."""
    with await asyncio.to_thread(tempfile.TemporaryFile) as file:
        yield file


async def keep_told(session: WriteSession, import_id: UUID, file: IO[bytes]) -> None:
    """Write down what a dry run found out of the rows, before it is taken back."""
    raw = await _driver(session)
    await raw.copy_from_query(telling.TOLD, import_id, output=file)


async def tell_again(session: WriteSession, import_id: UUID, file: IO[bytes]) -> None:
    """Say it of the rows, once the dry run is taken back."""
    await asyncio.to_thread(file.seek, 0)
    await session.execute(text(telling.PUT_ASIDE))
    raw = await _driver(session)
    await raw.copy_to_table("told", source=file)
    await session.execute(text(telling.TELL_AGAIN), {"import_id": import_id})


async def _driver(session: WriteSession) -> Any:
    return (await (await session.connection()).get_raw_connection()).driver_connection
