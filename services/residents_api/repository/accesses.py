"""Records of reading: listed for whom they concern, chained, and gone through again."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, func, or_, select, text

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.residents_api.domain.audit import Record
from services.residents_api.models import AccessRecord, Resident
from services.residents_api.repository import people

_ONE_AT_A_TIME = text("SELECT pg_try_advisory_xact_lock(hashtextextended('access chain', 0))")

_CHAIN = text("""
UPDATE access_record r SET sequence = u.sequence, hash = u.hash
  FROM unnest(CAST(:residents AS uuid[]), CAST(:ids AS uuid[]), CAST(:sequences AS bigint[]),
              CAST(:hashes AS bytea[])) AS u (resident_id, id, sequence, hash)
 WHERE r.resident_id = u.resident_id AND r.id = u.id AND r.sequence IS NULL
""")


async def of_resident(
    session: ReadSession, resident_id: UUID, *, page: PageRequest
) -> tuple[Sequence[AccessRecord], str | None]:
    """In the order in which they were made."""
    statement = pagination.keyset(
        select(AccessRecord).where(AccessRecord.resident_id == resident_id),
        AccessRecord.id,
        after=page.after(tuple[UUID]),
        size=page.size,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.id,))


async def within(
    session: ReadSession,
    areas: Sequence[Area],
    *,
    on: date,
    actor: str | None,
    since: datetime | None,
    until: datetime | None,
    page: PageRequest,
) -> tuple[Sequence[AccessRecord], str | None]:
    """What those of the areas did, and what was done to their residents; newest first."""
    concerns = select(Resident.id).where(
        Resident.id == AccessRecord.resident_id, people.visible(areas, on=on, erased=True)
    )
    statement = select(AccessRecord).where(or_(_acted_for(areas), concerns.exists()))
    if actor is not None:
        statement = statement.where(AccessRecord.actor == actor)
    if since is not None:
        statement = statement.where(AccessRecord.at >= since)
    if until is not None:
        statement = statement.where(AccessRecord.at < until)
    statement = pagination.keyset(
        statement,
        AccessRecord.at,
        AccessRecord.id,
        after=page.after(tuple[datetime, UUID]),
        size=page.size,
        descending=True,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.at, row.id))


def _acted_for(areas: Sequence[Area]) -> ColumnElement[bool]:
    code = func.unnest(AccessRecord.actor_areas).column_valued("code")
    inside = or_(sa.false(), *(func.starts_with(code, area.code) for area in areas))
    return select(code).where(inside).exists()


# The chain


async def alone(session: WriteSession) -> bool:
    """Whether this transaction, and no other until its end, may add to the chain."""
    return bool(await session.scalar(_ONE_AT_A_TIME))


async def last(session: ReadSession) -> AccessRecord | None:
    """The end of the chain."""
    statement = (
        select(AccessRecord)
        .where(AccessRecord.sequence.is_not(None))
        .order_by(AccessRecord.sequence.desc())
        .limit(1)
    )
    return await session.scalar(statement)


async def unchained(session: ReadSession, *, limit: int | None = None) -> Sequence[AccessRecord]:
    statement = (
        select(AccessRecord)
        .where(AccessRecord.sequence.is_(None))
        .order_by(AccessRecord.id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def unsigned(session: ReadSession) -> Sequence[AccessRecord]:
    return (await session.scalars(select(AccessRecord).where(AccessRecord.mac.is_(None)))).all()


async def chain(session: WriteSession, links: Sequence[tuple[AccessRecord, int, bytes]]) -> None:
    """Give records their place in the chain."""
    await session.execute(
        _CHAIN,
        {
            "residents": [row.resident_id for row, _, _ in links],
            "ids": [row.id for row, _, _ in links],
            "sequences": [sequence for _, sequence, _ in links],
            "hashes": [digest for _, _, digest in links],
        },
    )


async def chained_after(
    session: ReadSession, sequence: int, *, limit: int
) -> Sequence[AccessRecord]:
    statement = (
        select(AccessRecord)
        .where(AccessRecord.sequence > sequence)
        .order_by(AccessRecord.sequence)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).all()


def said(row: AccessRecord) -> Record:
    """What a record says, as its hash goes over it."""
    return Record(
        resident_id=row.resident_id,
        id=row.id,
        at=row.at,
        actor=row.actor,
        actor_areas=row.actor_areas,
        act=row.act,
        purpose=row.purpose,
        fields=row.fields,
        outcome=row.outcome,
        request_id=row.request_id,
    )
