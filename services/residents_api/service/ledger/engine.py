"""Runs one import from its file to its end, resumably.

First the whole file is read, checked in worker processes and staged; then it is merged in batches,
each one transaction that also moves `applied_to` and the counters. So a killed import has applied
whole batches or nothing, and whoever takes it over goes on with the next one.
"""

import asyncio
import itertools
import multiprocessing
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from services.common import errors, telemetry
from services.common.areas import Area
from services.common.clock import Clock, today
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.outbox import Publisher
from services.common.workers import end_with_parent
from services.residents_api.domain.ledger import LedgerUnreadable, open_ledger, records
from services.residents_api.domain.sealing import SealBroken, Sealer
from services.residents_api.models import LedgerImport, LedgerRow, LedgerStaging
from services.residents_api.service.ledger import merging, preparing
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.ledger.merging import Counts, Merge, Raced
from services.residents_api.service.ledger.preparing import Job, Numbered, Prepared

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
_CHUNK_ROWS = 2_000
_CHUNKS_AHEAD = 8
_TRIES_AT_A_BATCH = 5


class Cancelled(Exception):
    """The import was asked to stop."""


class Taken(Exception):
    """Somebody else has taken the import over: what this one did last does not count."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is. `rows_total` is None until the file is read."""

    phase: str
    rows_done: int
    rows_total: int | None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """What an import needs of the service it runs in."""

    sessions: Sessions
    publisher: Publisher
    clock: Clock
    sealer: Sealer
    store: LedgerStore
    workers: "Workers"
    keep_files: timedelta = timedelta(days=30)

    async def execute(self, import_id: UUID, report: Report) -> None:
        """Run a claimed import to its end. What goes wrong ends it as `failed`, with a code."""
        try:
            job = await self._load(import_id)
            if job.applied_to is None or not await self._still_staged(job):
                await self._stage(job, report)
                job = await self._load(import_id)
            await self._merge(job, report)
        except Taken:
            log.warning("import.taken_over", import_id=str(import_id))
        except Cancelled:
            await self._finish(import_id, state="cancelled")
        except LedgerUnreadable as unreadable:
            await self._finish(import_id, state="failed", failure=unreadable.code)
        except (FileNotFoundError, SealBroken):
            await self._finish(import_id, state="failed", failure="ledger.file_lost")
        except OSError:
            raise  # the database is away: whoever takes the import over goes on
        except Exception as unforeseen:
            if isinstance(unforeseen, DBAPIError) and errors.passes(unforeseen):
                raise
            telemetry.log_unforeseen(unforeseen)
            await self._finish(import_id, state="failed", failure="internal.error")
        else:
            await self._finish(import_id, state="succeeded")

    async def give_up(self, import_id: UUID) -> None:
        """End an import whose execution was interrupted. What is merged already stays."""
        await self._finish(import_id, state="cancelled")

    async def _load(self, import_id: UUID) -> LedgerImport:
        async with self.sessions.read() as session:
            return await session.get_one(LedgerImport, import_id)

    # Reading and staging

    async def _still_staged(self, job: LedgerImport) -> bool:
        """A crash of the server empties the unlogged staging table."""
        held = sa.select(sa.func.count()).where(LedgerStaging.import_id == job.id)
        async with self.sessions.read() as session:
            return await session.scalar(held) == job.rows_accepted

    async def _stage(self, job: LedgerImport, report: Report) -> None:
        for attempt in itertools.count(1):
            try:
                await self._read_and_stage(job, report)
                return
            except BrokenProcessPool:
                # A worker process was killed, by the machine or by what it read: from the start.
                if attempt == _TRIES_AT_A_BATCH:
                    raise

    async def _read_and_stage(self, job: LedgerImport, report: Report) -> None:
        # What became of the rows is told once; staging that was lost is only filled again.
        again = job.applied_to is not None
        async with self.sessions.write() as session:
            await _clear(session, job.id, rows=not again)
        done = accepted = 0
        async with self.store.opened(job.id, job.file_key) as path:
            async for prepared in self._prepared(job, path):
                await self._copy(prepared, rows=not again)
                accepted += prepared.accepted
                done += prepared.accepted + prepared.rejected
                await self._alive(job.id)
                report(Progress("reading", done, None))
        async with self.sessions.write() as session:
            await merging.join_rows(session, job.id, tell=not again)
            if again:
                return
            await session.execute(
                sa.update(LedgerImport)
                .where(LedgerImport.id == job.id)
                .values(
                    rows_total=done,
                    rows_accepted=accepted,
                    rows_rejected=done - accepted,
                    applied_to=0,
                )
            )

    async def _prepared(self, job: LedgerImport, path: Path) -> AsyncIterator[Prepared]:
        """Chunks of the file, checked: several at a time, handed over in order."""
        constants = Job(job.id, job.village_code, today(self.clock), self.sealer)
        chunks = await asyncio.to_thread(_chunks, path)
        waiting: deque[asyncio.Future[Prepared]] = deque()
        try:
            while chunk := await asyncio.to_thread(next, chunks, None):
                # A short ledger is not worth starting processes for.
                pool = self.workers if len(chunk) == _CHUNK_ROWS or waiting else None
                waiting.append(_submit(pool, constants, chunk))
                if len(waiting) > _CHUNKS_AHEAD:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for unwanted in waiting:
                unwanted.cancel()

    async def _copy(self, prepared: Prepared, *, rows: bool) -> None:
        async with self.sessions.write() as session:
            raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
            copies = [(LedgerStaging.__tablename__, preparing.STAGING_COLUMNS, prepared.staging)]
            if rows:
                copies.append((LedgerRow.__tablename__, preparing.ROW_COLUMNS, prepared.rows))
            for table, columns, content in copies:
                await raw.copy_to_table(table, source=_once(content), columns=columns)

    # Merging

    async def _merge(self, job: LedgerImport, report: Report) -> None:
        assert job.rows_total is not None
        assert job.applied_to is not None
        merge = Merge(
            job.id,
            job.village_code,
            tuple(Area.parse(area) for area in job.importer_areas),
            today(self.clock),
        )
        report(Progress("merging", job.applied_to, job.rows_total))
        if job.dry_run:
            await self._merge_all_in_one(merge, job.rows_total, report)
            return
        for first in merging.batches(job.rows_total, applied_to=job.applied_to):
            await self._alive(job.id)
            for attempt in itertools.count(1):
                try:
                    async with self.sessions.write() as session:
                        counts = await merging.merge_batch(session, merge, first=first)
                        await _count(session, job.id, counts, first=first)
                    break
                except (Raced, DBAPIError) as raced:
                    if attempt == _TRIES_AT_A_BATCH or not _worth_another_try(raced):
                        raise
            done = min(first + merging.BATCH_ROWS, job.rows_total)
            report(Progress("merging", done, job.rows_total))
        await self.publisher.publish()

    async def _merge_all_in_one(self, merge: Merge, rows: int, report: Report) -> None:
        """A dry run does everything, then takes it back: one transaction, so batches see each other."""
        total = Counts()
        async with self.sessions.writing() as plain:
            session = WriteSession(ReadSession(plain))
            for first in merging.batches(rows, applied_to=0):
                total.add(await merging.merge_batch(session, merge, first=first))
                await session.execute(sa.text(merging.DROP_BATCH))
                await self._alive(merge.import_id)
                report(Progress("merging", min(first + merging.BATCH_ROWS, rows), rows))
            codes = await merging.warnings(session, merge.import_id)
            await plain.rollback()
        async with self.sessions.write() as session:
            await _count(session, merge.import_id, total, first=0)
            await merging.write_warnings(session, merge.import_id, codes)

    # The job's row

    async def _alive(self, import_id: UUID) -> None:
        """Renew the lease. Raises Cancelled if asked to stop, Taken if somebody else has ended it."""
        async with self.sessions.write() as session:
            row = await session.execute(
                sa.update(LedgerImport)
                .where(_runs(import_id))
                .values(lease_until=self.clock.now() + LEASE)
                .returning(LedgerImport.cancel_requested)
            )
            cancel_requested = row.scalar_one_or_none()
        if cancel_requested is None:
            raise Taken
        if cancel_requested:
            raise Cancelled

    async def _finish(self, import_id: UUID, *, state: str, failure: str | None = None) -> None:
        position = await self.publisher.publish()
        async with self.sessions.write() as session:
            await session.execute(
                sa.delete(LedgerStaging).where(LedgerStaging.import_id == import_id)
            )
            await session.execute(
                sa.update(LedgerImport)
                .where(_runs(import_id))
                .values(
                    state=state,
                    failure=failure,
                    position=str(position),
                    lease_until=None,
                    finished_at=self.clock.now(),
                )
            )
        log.info("import.finished", import_id=str(import_id), state=state, failure=failure)


def _submit(
    workers: "Workers | None", job: Job, chunk: list[Numbered]
) -> "asyncio.Future[Prepared]":
    loop = asyncio.get_running_loop()
    if workers is None:
        return loop.run_in_executor(None, preparing.prepare, job, chunk)
    return asyncio.wrap_future(workers.submit(job, chunk))


class Workers:
    """Worker processes, started when a long ledger needs them, and anew after one of them died."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, job: Job, chunk: list[Numbered]) -> "Future[Prepared]":
        for pool in (self._pool, None):
            if pool is None:
                # Spawned, not forked: a fork would take the event loop and its connections along.
                pool = self._pool = ProcessPoolExecutor(
                    self._processes,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=end_with_parent,
                )
            try:
                return pool.submit(preparing.prepare, job, chunk)
            except BrokenProcessPool:
                pool.shutdown(wait=False)
        raise AssertionError("a new pool is not broken")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _chunks(path: Path) -> Iterator[list[Numbered]]:
    """The file's records, numbered through, in chunks. Raises LedgerUnreadable."""
    numbered = (
        Numbered(ordinal, sheet_number, record)
        for ordinal, (sheet_number, record) in enumerate(_records(path))
    )
    while chunk := list(itertools.islice(numbered, _CHUNK_ROWS)):
        yield chunk


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    for sheet_number, sheet in enumerate(open_ledger(path)):
        for record in records([sheet]):
            yield sheet_number, record


def _worth_another_try(raised: Exception) -> bool:
    """Two imports that wrote the same persons at once: one of them does its batch again."""
    return isinstance(raised, Raced) or errors.sqlstate(raised).startswith("40")


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _runs(import_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(LedgerImport.id == import_id, LedgerImport.state == "running")


async def _clear(session: WriteSession, import_id: UUID, *, rows: bool) -> None:
    await session.execute(sa.delete(LedgerStaging).where(LedgerStaging.import_id == import_id))
    if rows:
        await session.execute(sa.delete(LedgerRow).where(LedgerRow.import_id == import_id))


async def _count(session: WriteSession, import_id: UUID, counts: Counts, *, first: int) -> None:
    """Move the job on, in the batch's transaction. Raises Taken if somebody else has done so: one
    whose lease ran out while it slept must not count a batch twice.
    """
    moved = await session.execute(
        sa.update(LedgerImport)
        .where(_runs(import_id), LedgerImport.applied_to == first)
        .values(
            applied_to=first + merging.BATCH_ROWS,
            residents_created=LedgerImport.residents_created + counts.residents_created,
            residents_updated=LedgerImport.residents_updated + counts.residents_updated,
            residents_unchanged=LedgerImport.residents_unchanged + counts.residents_unchanged,
            dwellings_created=LedgerImport.dwellings_created + counts.dwellings_created,
            occupancies_created=LedgerImport.occupancies_created + counts.occupancies_created,
        )
        .returning(LedgerImport.id)
    )
    if moved.scalar_one_or_none() is None:
        raise Taken
