"""An import's row while it runs: whose it is, how far it is, what it has counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import sqlalchemy as sa

from services.common.database import WriteSession
from services.residents_api.domain.ledger import Words
from services.residents_api.models import LedgerImport, LedgerRow, LedgerStaging
from services.residents_api.service.ledger import merging
from services.residents_api.service.ledger.merging import Counts

LEASE = timedelta(seconds=60)


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


def words_of(job: LedgerImport) -> Words:
    """What the source calls its columns, as it was when the import was asked for."""
    return cast("Words", job.columns or {})


async def alive(
    session: WriteSession, import_id: UUID, *, now: datetime, progress: Progress | None
) -> None:
    """Renew the lease. Raises Cancelled if asked to stop, Taken if somebody else has ended it."""
    told = {"phase": progress.phase, "rows_done": progress.rows_done} if progress else {}
    row = await session.execute(
        sa.update(LedgerImport)
        .where(runs(import_id))
        .values(lease_until=now + LEASE, **told)
        .returning(LedgerImport.cancel_requested)
    )
    cancel_requested = row.scalar_one_or_none()
    if cancel_requested is None:
        raise Taken
    if cancel_requested:
        raise Cancelled


async def take_back(session: WriteSession, job: LedgerImport) -> None:
    """Of a stopped import only the rows count that were merged, and those that were rejected."""
    if job.applied_to is None:
        await clear(session, job.id, rows=True)
        return
    # A dry run has merged nothing, however far it came.
    applied_to = 0 if job.dry_run else job.applied_to
    job.rows_accepted = await merging.forget_unmerged(session, job.id, applied_to=applied_to)


def runs(import_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(LedgerImport.id == import_id, LedgerImport.state == "running")


async def clear(session: WriteSession, import_id: UUID, *, rows: bool) -> None:
    await session.execute(sa.delete(LedgerStaging).where(LedgerStaging.import_id == import_id))
    if rows:
        await session.execute(sa.delete(LedgerRow).where(LedgerRow.import_id == import_id))


async def count(session: WriteSession, import_id: UUID, counts: Counts, *, first: int) -> None:
    """Move the job on, in the batch's transaction. Raises Taken if somebody else has done so: one
    whose lease ran out while it slept must not count a batch twice.
    """
    moved = await session.execute(
        sa.update(LedgerImport)
        .where(runs(import_id), LedgerImport.applied_to == first)
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
