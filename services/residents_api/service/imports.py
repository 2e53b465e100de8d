"""Imports of ledgers as jobs: asked for, claimed by one worker at a time, cancelled, looked at."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, cast
from uuid import UUID

import sqlalchemy as sa
import structlog

from services.common import database, outbox
from services.common.clock import Clock, SystemClock
from services.common.database import Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.outbox import Publisher
from services.common.security import Caller
from services.residents_api.domain import audit
from services.residents_api.domain.codes import RowCode
from services.residents_api.domain.ledger.headers import word_of
from services.residents_api.domain.sealing import Sealer
from services.residents_api.errors import ImportFinished, ImportUnfinished
from services.residents_api.models import NOBODY, LedgerImport, LedgerMapping, LedgerRow
from services.residents_api.repository import imports as repository
from services.residents_api.schemas.imports import (
    ImportPhase,
    ImportRowRead,
    ImportState,
    RowEffect,
    RowOutcome,
)
from services.residents_api.service import accesses
from services.residents_api.service.ledger import outcomes
from services.residents_api.service.ledger.engine import Engine
from services.residents_api.service.ledger.job_row import LEASE, Progress
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.ledger.marking import Note
from services.residents_api.service.ledger.processes import Workers
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings

log = structlog.get_logger(__name__)

SERVICE = "residents_api"
_LOOK_SECONDS = 0.5
_FOLLOW_SECONDS = 0.5
# Five minutes: a token lives for ten.
_LOOKS_AT_MOST = 600
_SWEEP_EVERY = timedelta(minutes=10)
# An upload is stored before its import is committed; by then it is.
_STRAY_AFTER = timedelta(hours=1)


async def ask(
    session: WriteSession,
    *,
    import_id: UUID,
    file_key: str,
    village_code: str,
    dry_run: bool,
    importer: str,
    importer_areas: Sequence[str],
    state: ImportState = ImportState.QUEUED,
) -> LedgerImport:
    """Put an import into the queue. Its file is already kept."""
    mapping = await session.get(LedgerMapping, village_code)
    job = LedgerImport(
        id=import_id,
        columns={word_of(heading): name for heading, name in mapping.columns.items()}
        if mapping
        else None,
        state=state.value,
        village_code=village_code,
        dry_run=dry_run,
        importer=importer,
        importer_areas=list(importer_areas),
        file_key=file_key,
    )
    session.add(job)
    await session.flush()  # the answer shows what the database fills in
    await session.refresh(job)
    return job


async def cancel(session: WriteSession, job: LedgerImport, *, now: datetime) -> LedgerImport:
    """Stop an import: at once if it waits, after the batch under way if it runs.

    What is merged already stays. Raises ImportFinished.
    """
    job = await session.get_one(LedgerImport, job.id, with_for_update=True, populate_existing=True)
    match ImportState(job.state):
        case ImportState.QUEUED:
            job.state = ImportState.CANCELLED.value
            job.finished_at = now
        case ImportState.RUNNING:
            job.cancel_requested = True
        case _:
            raise ImportFinished()
    return job


def phase(job: LedgerImport) -> ImportPhase:
    if job.finished_at is not None:
        return ImportPhase.ENDED
    if job.state == ImportState.QUEUED:
        return ImportPhase.QUEUED
    return ImportPhase(job.phase or ImportPhase.READING)


async def followed(sessions: Sessions, import_id: UUID) -> AsyncGenerator[LedgerImport]:
    """An import each time that it has got on, until it has ended; for some minutes at most.

    No session is held between.
    """
    seen: tuple[str, str | None, int, int | None] | None = None
    for _ in range(_LOOKS_AT_MOST):
        async with sessions.read() as session:
            job = await session.get_one(LedgerImport, import_id)
        now = (job.state, job.phase, job.rows_done, job.rows_total)
        if now != seen:
            seen = now
            yield job
        if job.finished_at is not None:
            return
        await asyncio.sleep(_FOLLOW_SECONDS)


def shown_row(job: LedgerImport, row: LedgerRow) -> ImportRowRead:
    """A row as it is answered."""
    effect = row.effect
    if effect is None and row.outcome == RowOutcome.ACCEPTED and repository.says_created(job):
        effect = RowEffect.CREATED
    return ImportRowRead.model_validate(
        {
            "sheet": row.sheet,
            "row": row.row,
            "outcome": row.outcome,
            "effect": effect,
            "changes": [
                {"field": name, "from": before, "to": after}
                for name, (before, after) in sorted((row.changes or {}).items())
            ],
            "codes": row.codes,
            "masked": row.masked,
        }
    )


async def outcome(
    sessions: Sessions,
    store: LedgerStore,
    sealer: Sealer,
    job: LedgerImport,
    *,
    caller: Caller,
    language: str,
    now: datetime,
) -> IO[bytes]:
    """The ledger with what became of its rows; that somebody took it stands in the audit.

    Raises ImportUnfinished, OutcomeUnavailable.
    """
    if job.finished_at is None:
        raise ImportUnfinished()

    async def notes() -> AsyncGenerator[list[Note]]:
        async with sessions.read() as session:
            async for rows in repository.all_rows(session, job.id):
                yield [_note(job, row) for row in rows]

    file = await outcomes.workbook(store, job, notes(), language=language)
    async with sessions.write() as session:
        await accesses.record(
            session,
            sealer,
            resident_ids=[NOBODY],
            caller=caller,
            act="export",
            purpose=f"import:{job.id}",
            fields=["ledger"],
            outcome=audit.GRANTED,
            now=now,
        )
    return file


def _note(job: LedgerImport, row: LedgerRow) -> Note:
    shown = shown_row(job, row)
    return Note(
        row.sheet_number,
        row.row,
        shown.effect or row.outcome,
        tuple(cast("list[RowCode]", row.codes)),
    )


@asynccontextmanager
async def engine(
    settings: Settings, *, sessions: Sessions, publisher: Publisher, clock: Clock
) -> AsyncGenerator[Engine]:
    """An import engine with its worker processes, which start when a long ledger needs them."""
    workers = Workers(settings.import_processes)
    try:
        yield Engine(
            sessions=sessions,
            publisher=publisher,
            clock=clock,
            sealer=sealer(settings),
            store=LedgerStore(settings.ledger_directory, sealer(settings)),
            workers=workers,
            keep_files=timedelta(days=settings.ledger_keep_days),
        )
    finally:
        workers.close()


async def work(engine: Engine) -> None:
    """For ever: claim the next import and run it. Any number of workers may do this."""
    swept: datetime | None = None
    while True:
        try:
            claimed = await _claim(engine)
            if claimed is not None:
                await engine.execute(claimed, _silently)
                continue
            now = engine.clock.now()
            if swept is None or now - swept >= _SWEEP_EVERY:
                await _delete_old_files(engine)
                await _delete_strays(engine)
                await engine.store.sweep(before=now - _STRAY_AFTER)
                swept = now
        except database.UNREACHABLE as failed:
            # The lease runs out, and somebody goes on where this left off.
            log.warning("import.interrupted", error=type(failed).__name__)
        await asyncio.sleep(_LOOK_SECONDS)


def _silently(_: Progress) -> None:
    """The job's row says how far it is."""


async def _claim(engine: Engine) -> UUID | None:
    now = engine.clock.now()
    next_one = (
        sa.select(LedgerImport.id)
        .where(
            sa.or_(
                LedgerImport.state == ImportState.QUEUED.value,
                sa.and_(
                    LedgerImport.state == ImportState.RUNNING.value,
                    LedgerImport.lease_until < now,
                ),
            )
        )
        .order_by(LedgerImport.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    async with engine.sessions.write() as session:
        return await session.scalar(
            sa.update(LedgerImport)
            .where(LedgerImport.id == next_one.scalar_subquery())
            .values(state=ImportState.RUNNING.value, lease_until=now + LEASE)
            .returning(LedgerImport.id)
        )


async def _delete_old_files(engine: Engine) -> None:
    async with engine.sessions.write() as session:
        old = await session.scalars(
            sa.select(LedgerImport)
            .where(
                LedgerImport.file_key != "",
                LedgerImport.finished_at < engine.clock.now() - engine.keep_files,
            )
            .with_for_update(skip_locked=True)
        )
        for job in old:
            await engine.store.delete(job.file_key)
            job.file_key = ""


async def _delete_strays(engine: Engine) -> None:
    """Files that no import names: their upload was refused, rolled back or never committed."""
    keys = await engine.store.keys(before=engine.clock.now() - _STRAY_AFTER)
    async with engine.sessions.read() as session:
        named = await session.scalars(
            sa.select(LedgerImport.file_key).where(LedgerImport.file_key != "")
        )
    for stray in set(keys).difference(named):
        await engine.store.delete(stray)


@asynccontextmanager
async def own_engine(settings: Settings, *, clock: Clock | None = None) -> AsyncGenerator[Engine]:
    """An engine outside of the service: for the command that loads files by itself."""
    clock = clock or SystemClock()
    opened = database.engine(settings.database, application=f"{SERVICE} import")
    sessions = database.sessions(opened)
    await outbox.open_feed(sessions)
    publisher = Publisher(sessions, service=SERVICE, clock=clock)
    try:
        async with engine(
            settings, sessions=sessions, publisher=publisher, clock=clock
        ) as importing:
            yield importing
    finally:
        await opened.dispose()


async def run_file(
    importing: Engine,
    path: Path,
    *,
    village_code: str,
    importer: str,
    importer_areas: Sequence[str],
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> LedgerImport:
    """Import a file here and now, by the same steps as an uploaded one; returns the ended job."""
    import_id = new_id()
    content = await asyncio.to_thread(path.read_bytes)
    file_key = await importing.store.keep(import_id, content)
    async with importing.sessions.write() as session:
        job = await ask(
            session,
            import_id=import_id,
            file_key=file_key,
            village_code=village_code,
            dry_run=dry_run,
            importer=importer,
            importer_areas=importer_areas,
            state=ImportState.RUNNING,
        )
        job.lease_until = importing.clock.now() + LEASE
    try:
        await importing.execute(import_id, progress or _silently)
    except asyncio.CancelledError:
        # Interrupted at the terminal: nobody is to take it over and go on.
        await asyncio.shield(importing.give_up(import_id))
        raise
    async with importing.sessions.read() as session:
        return await session.get_one(LedgerImport, import_id)
