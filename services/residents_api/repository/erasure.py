"""Everything that the register holds of one person, and taking it away."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Column, case, delete, func, select, text, update

from services.common.areas import VILLAGE_LENGTH
from services.common.database import ReadSession, WriteSession
from services.residents_api.models import (
    AccessRecord,
    Base,
    DuplicateCandidate,
    Guardian,
    LedgerExport,
    LedgerImport,
    LedgerRow,
    LedgerSource,
    LedgerStatement,
    Occupancy,
    Resident,
    ResidentMerge,
)
from services.residents_api.repository.states import RESIDENT_CHANGED

# Tables of which a person's rows go altogether. A test holds this to every table with a resident.
DELETED = (
    "identity_document",
    "phone",
    "guardian",
    "change_request",
    "resident_label",
    "ledger_statement",
    "duplicate_candidate",
    "resident_merge",
)
# What is left of a person: that there was one, kept by some division. The rest is emptied.
_LEFT_OF_RESIDENT = {
    "id", "area_code", "keeper_compound_id", "state", "merged_into", "version", "created_at",
    "updated_at",
}  # fmt: skip
# And that somebody lived there, which statistics of the past count.
_LEFT_OF_OCCUPANCY = {
    "resident_id", "id", "dwelling_id", "division_code", "grid_code", "compound_id", "tenure",
    "start_date", "end_date", "state",
}  # fmt: skip

_WAIT = text("SET LOCAL statement_timeout = '120s'")

_MERGED = text("""
WITH RECURSIVE person (id) AS (
    SELECT CAST(:id AS uuid)
     UNION SELECT r.id FROM resident r JOIN person p ON r.merged_into = p.id
)
SELECT r.id FROM resident r JOIN person p ON p.id = r.id ORDER BY r.id FOR UPDATE OF r
""")

_WAS = text("""
SELECT DISTINCT old ->> :field AS value FROM history
 WHERE subject_id = ANY(CAST(:ids AS uuid[])) AND old ->> :field IS NOT NULL
""")

_OUTBOX = text("""
UPDATE outbox SET data = jsonb_set(data, '{residents}', coalesce(
    (SELECT jsonb_agg(e ORDER BY n)
       FROM jsonb_array_elements(data -> 'residents') WITH ORDINALITY AS s (e, n)
      WHERE e ->> 'id' <> ALL(CAST(:ids AS text[]))), '[]'))
 WHERE type = :type
   AND data @? CAST(:path AS jsonpath)
""")

_ANSWERS = text("""
DELETE FROM idempotency_key
 WHERE EXISTS (SELECT FROM unnest(CAST(:ids AS text[])) i
                WHERE position(convert_to(i, 'UTF8') IN body) > 0)
""")

_STAGED = text("""
DELETE FROM ledger_staging
 WHERE blind_index = ANY(CAST(:numbers AS bytea[]))
    OR EXISTS (SELECT FROM unnest(phones) p
                WHERE decode(split_part(p, ':', 1), 'hex') = ANY(CAST(:phones AS bytea[])))
""")

_HISTORY = text("""
UPDATE history SET old = NULL, sealed = NULL,
                   key = CASE WHEN entity = 'occupancy' THEN key ELSE '' END
 WHERE subject_id = ANY(CAST(:ids AS uuid[]))
""")


async def whole(session: WriteSession, resident_id: UUID) -> Sequence[UUID]:
    """The person's row, and those that were merged into it, locked."""
    await session.execute(_WAIT)  # events of seven days are gone through
    return (await session.scalars(_MERGED, {"id": resident_id})).all()


async def said_before(session: ReadSession, ids: Sequence[UUID], field: str) -> set[str]:
    """What a column said at any time in the history."""
    return set(await session.scalars(_WAS, {"ids": list(ids), "field": field}))


async def villages(session: ReadSession, ids: Sequence[UUID]) -> set[str]:
    """Whose ledgers may speak of the person."""
    lived = await session.scalars(
        select(Occupancy.division_code).where(Occupancy.resident_id.in_(ids))
    )
    kept = await session.scalars(select(Resident.area_code).where(Resident.id.in_(ids)))
    sources = await session.scalars(
        select(LedgerStatement.source).where(LedgerStatement.resident_id.in_(ids))
    )
    before = await said_before(session, ids, "division_code")
    named = {*lived, *before, *kept, *(source.partition(":")[2] for source in sources)}
    return {code[:VILLAGE_LENGTH] for code in named if len(code) >= VILLAGE_LENGTH}


async def imports_at_work(session: ReadSession, village_codes: Collection[str]) -> bool:
    waiting = select(LedgerImport.id).where(
        LedgerImport.village_code.in_(village_codes), LedgerImport.state.in_(["queued", "running"])
    )
    return (await session.scalar(waiting.limit(1))) is not None


async def records(session: ReadSession, ids: Sequence[UUID]) -> Sequence[AccessRecord]:
    statement = select(AccessRecord).where(
        AccessRecord.resident_id.in_(ids), AccessRecord.purpose != ""
    )
    return (await session.scalars(statement)).all()


async def empty(session: WriteSession, ids: Sequence[UUID], *, now: datetime, today: date) -> None:
    """Leave of the person's rows what is nobody's."""
    for name in DELETED:
        table = Base.metadata.tables[name]
        await session.execute(delete(table).where(table.c.resident_id.in_(ids)))
    await session.execute(delete(Guardian).where(Guardian.guardian_id.in_(ids)))
    await session.execute(delete(DuplicateCandidate).where(DuplicateCandidate.other_id.in_(ids)))
    await session.execute(delete(ResidentMerge).where(ResidentMerge.merged_id.in_(ids)))
    # One who has not left yet leaves today, and one who was to come never came.
    left = func.least(Occupancy.end_date, func.greatest(today, Occupancy.start_date))
    await session.execute(
        update(Occupancy)
        .where(Occupancy.resident_id.in_(ids))
        .values(
            {
                **_emptied(Occupancy, _LEFT_OF_OCCUPANCY),
                "end_date": left,
                # Nobody is to review it any more.
                "state": case((Occupancy.state == "pending", "rejected"), else_=Occupancy.state),
            }
        )
    )
    await session.execute(
        update(Resident)
        .where(Resident.id.in_(ids))
        .values(
            {
                **_emptied(Resident, _LEFT_OF_RESIDENT),
                "state": "erased",
                "version": Resident.version + 1,
                "updated_at": now,
            }
        )
    )
    # Last, for all of the above has written down what was.
    await session.execute(_HISTORY, {"ids": list(ids)})


def _emptied(model: type[Base], left: Collection[str]) -> dict[str, Any]:
    columns = Base.metadata.tables[model.__tablename__].columns
    return {column.key: _nothing(column) for column in columns if column.key not in left}


def _nothing(column: Column[Any]) -> Any:
    if column.nullable:
        return None
    return sa.text("DEFAULT") if column.server_default is not None else ""


async def empty_around(
    session: WriteSession,
    ids: Sequence[UUID],
    *,
    numbers: Sequence[bytes],
    phones: Sequence[bytes],
) -> None:
    """Copies on their way: events, answers kept for repetition, staged rows."""
    texts = [str(one) for one in ids]
    path = "$.residents[*].id ? (" + " || ".join(f'@ == "{one}"' for one in texts) + ")"
    await session.execute(_OUTBOX, {"ids": texts, "type": RESIDENT_CHANGED, "path": path})
    await session.execute(_ANSWERS, {"ids": texts})
    await session.execute(_STAGED, {"numbers": list(numbers), "phones": list(phones)})


async def forget_ledgers(session: WriteSession, village_codes: Collection[str]) -> list[str]:
    """What is kept of the villages' ledgers; the keys of files to delete after the commit."""
    of_villages = LedgerImport.village_code.in_(village_codes)
    files = await session.scalars(
        select(LedgerImport.file_key).where(of_villages, LedgerImport.file_key != "")
    )
    found = list(files)
    imports = select(LedgerImport.id).where(of_villages)
    await session.execute(
        update(LedgerRow)
        .where(
            LedgerRow.import_id.in_(imports),
            sa.or_(LedgerRow.masked.is_not(None), LedgerRow.changes.is_not(None)),
        )
        .values(masked=sa.null(), changes=sa.null())
    )
    await session.execute(update(LedgerImport).where(of_villages).values(file_key="", known=None))
    sources = [f"ledger:{code}" for code in village_codes]
    await session.execute(delete(LedgerSource).where(LedgerSource.source.in_(sources)))
    return found


async def forget_exports(session: WriteSession, ids: Sequence[UUID]) -> list[str]:
    """Exports in which the persons are; the keys of files to delete after the commit."""
    exported = select(AccessRecord.purpose).where(
        AccessRecord.resident_id.in_(ids), AccessRecord.act == "export"
    )
    named = sa.literal("export:").concat(sa.cast(LedgerExport.id, sa.Text))
    found = (
        await session.scalars(
            select(LedgerExport)
            .where(LedgerExport.file_key != "", named.in_(exported))
            .with_for_update()
        )
    ).all()
    keys = [f"exports/{job.file_key}" for job in found]
    for job in found:
        job.state, job.file_key = "expired", ""
    await session.flush()
    return keys


async def reasons(session: WriteSession) -> Sequence[LedgerExport]:
    """Exports with what they were for."""
    return (await session.scalars(select(LedgerExport).where(LedgerExport.reason != ""))).all()


async def reword(session: WriteSession, rows: Sequence[AccessRecord]) -> None:
    """Take the purpose out of records, whose signature stays (domain.audit)."""
    for row in rows:
        row.purpose = ""
    await session.flush()
