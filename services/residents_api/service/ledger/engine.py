"""Runs one import from its file to its end, resumably.

First the whole file is read, checked in worker processes and staged; then it is merged in batches,
each one transaction that also moves `applied_to` and the counters. So a killed import has applied
whole batches or nothing, and whoever takes it over goes on with the next one.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.common import errors, origin, telemetry
from services.common.areas import Area
from services.common.clock import Clock, today
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.outbox import Publisher
from services.residents_api.domain.ledger import LedgerUnreadable, Villages
from services.residents_api.domain.sealing import SealBroken, Sealer
from services.residents_api.models import LedgerImport, LedgerRow, LedgerStaging
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import compounds, ledger_sources
from services.residents_api.service.ledger import job_row, known_rows, merging, preparing
from services.residents_api.service.ledger.job_row import (
    LEASE,
    Cancelled,
    Progress,
    Taken,
    words_of,
)
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.ledger.known_rows import Overlap
from services.residents_api.service.ledger.merging import Busy, Counts, Merge, Raced
from services.residents_api.service.ledger.preparing import Job, Prepared
from services.residents_api.service.ledger.processes import Workers, submit
from services.residents_api.service.ledger.reading import (
    CHUNK_ROWS,
    MEMORY_BYTES,
    Next,
    Numbered,
    ReaderKilled,
    reading,
)

log = structlog.get_logger(__name__)

_CHUNKS_AHEAD = 8
_TRIES_AT_A_BATCH = 5
# So many rows make PostgreSQL's statistics of a village's people worth renewing.
_MANY_ROWS = 1_000
# A statement has its time limit, also one that waits for a row that a dry run holds.
_STATEMENT_TIMEOUT = "57014"


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """What an import needs of the service it runs in."""

    sessions: Sessions
    publisher: Publisher
    clock: Clock
    sealer: Sealer
    store: LedgerStore
    workers: Workers
    keep_files: timedelta = timedelta(days=30)
    reader_memory: int = MEMORY_BYTES

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
        except (PoolTimeout, OSError):
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
            return await session.scalar(held) == job.rows_accepted - job.rows_known

    async def _stage(self, job: LedgerImport, report: Report) -> None:
        for attempt in itertools.count(1):
            try:
                await self._read_and_stage(job, report)
                return
            except (BrokenProcessPool, ReaderKilled) as killed:
                # A process was killed, by somebody or for want of memory: from the start.
                if attempt < _TRIES_AT_A_BATCH:
                    continue
                if isinstance(killed, ReaderKilled):
                    raise LedgerUnreadable("ledger.too_large") from None
                raise

    async def _read_and_stage(self, job: LedgerImport, report: Report) -> None:
        # What became of the rows is told once; staging that was lost is only filled again.
        again = job.applied_to is not None
        known = await self._known(job)
        while True:
            staged = await self._read_once(job, known, report, rows=not again)
            if not (together := staged.overlap.entries()):
                break
            known -= together
        found = staged.overlap.known
        values: dict[str, Any] = {
            "known": b"".join(found),
            "rows_known": len(found),
            # Staged once more, it may be that fewer are known than before.
            "residents_unchanged": LedgerImport.residents_unchanged
            - LedgerImport.rows_known
            + len(found),
        }
        if not again:
            values |= {
                "rows_total": staged.rows,
                "rows_accepted": staged.accepted,
                "rows_rejected": staged.rows - staged.accepted,
                "applied_to": 0,
            }
        async with self.sessions.write() as session:
            await merging.join_rows(session, job.id, tell=not again)
            await session.execute(
                sa.update(LedgerImport).where(LedgerImport.id == job.id).values(values)
            )

    async def _known(self, job: LedgerImport) -> set[bytes]:
        """Entries of what the source said in its last ledger and nobody has changed since."""
        source = merging.source(job.village_code)
        async with self.sessions.read() as session:
            said = await ledger_sources.last_said(
                session, source, importer_areas=job.importer_areas
            )
            if said is None:
                return set()
            day, entries = said
            return known_rows.still_so(
                entries,
                await ledger_sources.persons(session, source, day=day, today=today(self.clock)),
            )

    async def _read_once(
        self, job: LedgerImport, known: set[bytes], report: Report, *, rows: bool
    ) -> "_Staged":
        async with self.sessions.write() as session:
            await job_row.clear(session, job.id, rows=rows)
        staged = _Staged()
        async with (
            self.store.opened(job.id, job.file_key) as path,
            aclosing(self._prepared(job, path, known)) as chunks,
        ):
            async for prepared in chunks:
                await self._copy(prepared, rows=rows)
                staged.overlap.add(known=prepared.known, others=prepared.others)
                staged.accepted += prepared.accepted
                staged.rows += prepared.accepted + prepared.rejected
                read = Progress("reading", staged.rows, None)
                await self._alive(job.id, read)
                report(read)
        return staged

    async def _prepared(
        self, job: LedgerImport, path: Path, known: set[bytes]
    ) -> AsyncGenerator[Prepared]:
        """Chunks of the file, checked: several at a time, handed over in order."""
        async with self.sessions.read() as session:
            names = await areas_repository.villages_around(session, job.village_code)
        villages = Villages.of(job.village_code, names)
        waiting: deque[asyncio.Future[Prepared]] = deque()
        with known_rows.known_rows(known) as said:
            constants = Job(
                job.id, job.village_code, today(self.clock), self.sealer, villages, said
            )
            async with reading(path, words_of(job), memory=self.reader_memory) as read:
                try:
                    while chunk := await self._awaited(job.id, read):
                        # A short ledger is not worth starting processes for.
                        pool = self.workers if len(chunk) == CHUNK_ROWS or waiting else None
                        waiting.append(submit(pool, constants, chunk))
                        if len(waiting) > _CHUNKS_AHEAD:
                            yield await waiting.popleft()
                    while waiting:
                        yield await waiting.popleft()
                finally:
                    for unwanted in waiting:
                        unwanted.cancel()

    async def _awaited(self, import_id: UUID, read: Next) -> list[Numbered]:
        """The next chunk. A large workbook is opened for long: the lease is renewed meanwhile."""
        coming = asyncio.ensure_future(read())
        try:
            while not (await asyncio.wait([coming], timeout=LEASE.total_seconds() / 3))[0]:
                await self._alive(import_id)
        finally:
            coming.cancel()
        return coming.result()

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
            importer=job.importer,
        )
        report(Progress("merging", job.applied_to, job.rows_total))
        if job.dry_run:
            # Counted already, if whoever did so died before saying that it is over.
            if job.applied_to == 0:
                rows = job.rows_total
                await self._tried(job.id, lambda: self._merge_all_in_one(merge, rows, report))
            return
        for first in merging.batches(job.rows_total, applied_to=job.applied_to):
            await self._alive(job.id, Progress("merging", first, job.rows_total))
            await self._tried(job.id, partial(self._merge_one, merge, first))
            await self.publisher.publish_if_reachable()
            done = min(first + merging.BATCH_ROWS, job.rows_total)
            report(Progress("merging", done, job.rows_total))
        async with self.sessions.write() as session:
            if job.rows_total - job.rows_known >= _MANY_ROWS:
                await merging.analyze(session)
            await compounds.count_people(
                session, today=merge.today, village_code=merge.village_code
            )

    async def _tried(self, import_id: UUID, attempt: Callable[[], Awaitable[None]]) -> None:
        """Do it again if others were in the way; for as long as they are at work in the village."""
        failures = 0
        while True:
            try:
                await attempt()
                return
            except Busy:
                await self._alive(import_id)
            except (Raced, DBAPIError) as raced:
                failures += 1
                if failures == _TRIES_AT_A_BATCH or not _worth_another_try(raced):
                    raise

    async def _merge_one(self, merge: Merge, first: int) -> None:
        async with self.sessions.write() as session:
            await origin.say(
                session, actor=merge.importer, source=merge.origin, at=self.clock.now()
            )
            counts = await merging.merge_batch(session, merge, first=first)
            await job_row.count(session, merge.import_id, counts, first=first)

    async def _merge_all_in_one(self, merge: Merge, rows: int, report: Report) -> None:
        """A dry run does everything, then takes it back: one transaction, so batches see each other."""
        total = Counts()
        async with merging.put_aside() as told:
            async with self.sessions.writing() as plain:
                session = WriteSession(ReadSession(plain))
                for first in merging.batches(rows, applied_to=0):
                    total.add(await merging.merge_batch(session, merge, first=first))
                    await session.execute(sa.text(merging.DROP_BATCH))
                    merged = Progress("merging", min(first + merging.BATCH_ROWS, rows), rows)
                    await self._alive(merge.import_id, merged)
                    report(merged)
                await merging.keep_told(session, merge.import_id, told)
                await plain.rollback()
            async with self.sessions.write() as session:
                await job_row.count(session, merge.import_id, total, first=0)
                await merging.tell_again(session, merge.import_id, told)

    # The job's row

    async def _alive(self, import_id: UUID, progress: Progress | None = None) -> None:
        async with self.sessions.write() as session:
            await job_row.alive(session, import_id, now=self.clock.now(), progress=progress)

    async def _finish(self, import_id: UUID, *, state: str, failure: str | None = None) -> None:
        position = await self.publisher.publish()
        async with self.sessions.write() as session:
            job = await session.scalar(
                sa.select(LedgerImport).where(job_row.runs(import_id)).with_for_update()
            )
            if job is None:
                return  # somebody else has ended it, and has said what became of the rows
            if state != "succeeded":
                await job_row.take_back(session, job)
            elif not job.dry_run:
                await self._remember(session, job)
            await job_row.clear(session, import_id, rows=False)
            job.known = None
            job.state = state
            job.failure = failure
            job.position = str(position)
            job.lease_until = None
            job.finished_at = self.clock.now()
        log.info("import.finished", import_id=str(import_id), state=state, failure=failure)

    async def _remember(self, session: WriteSession, job: LedgerImport) -> None:
        """Keep what the source said, for its next ledger."""
        source, day = merging.source(job.village_code), today(self.clock)
        known = await session.scalar(sa.select(LedgerImport.known).where(LedgerImport.id == job.id))
        persons = await ledger_sources.persons(session, source, day=day, today=day)
        merged = await ledger_sources.merged(session, job.id, began=job.created_at)
        entries = known_rows.still_so(known or b"", persons) | set(
            known_rows.pieces(merged, known_rows.ENTRY_BYTES)
        )
        await ledger_sources.keep(
            session,
            source,
            importer_areas=job.importer_areas,
            day=day,
            entries=b"".join(sorted(entries)),
        )


@dataclass(slots=True)
class _Staged:
    """What reading a file came to."""

    rows: int = 0
    accepted: int = 0
    overlap: Overlap = field(default_factory=Overlap)


def _worth_another_try(raised: Exception) -> bool:
    """Two imports that wrote the same persons at once: one of them does its batch again."""
    state = errors.sqlstate(raised)
    return isinstance(raised, Raced) or state.startswith("40") or state == _STATEMENT_TIMEOUT


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
