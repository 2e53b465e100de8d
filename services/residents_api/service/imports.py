"""Imports of ledgers as jobs: asked for, claimed by one worker at a time, cancelled, looked at."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from services.common import database, outbox
from services.common.clock import Clock, SystemClock
from services.common.database import Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.outbox import Publisher
from services.residents_api.errors import ImportFinished
from services.residents_api.models import LedgerImport
from services.residents_api.schemas.imports import ImportState
from services.residents_api.service.ledger.engine import LEASE, Engine, Progress, Workers
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings

log = structlog.get_logger(__name__)

SERVICE = "residents_api"
_LOOK_SECONDS = 0.5


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
    job = LedgerImport(
        id=import_id,
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
    while True:
        try:
            claimed = await _claim(engine)
            if claimed is not None:
                await engine.execute(claimed, _silently)
                continue
            await _delete_old_files(engine)
        except (DBAPIError, OSError) as failed:
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
