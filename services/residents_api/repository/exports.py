"""Export jobs, and the rows of a ledger on their way out."""

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.residents_api.domain.identity_documents import DocumentKind, DocumentStatus
from services.residents_api.models import (
    Compound,
    Division,
    Dwelling,
    IdentityDocument,
    LedgerExport,
    Occupancy,
    Phone,
    Resident,
    ResidentLabel,
)
from services.residents_api.repository import people

_ROWS_AT_ONCE = 1_000
_WAIT = sa.text("SET LOCAL statement_timeout = '300s'")

# An erasure and the start of an export wait for one another: neither sees half of the other.
_ERASING = sa.text("SELECT pg_advisory_xact_lock_shared(hashtextextended('exports', 0))")
_STARTING = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('exports', 0))")


async def exports(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> tuple[Sequence[LedgerExport], str | None]:
    """Newest first: ids grow with time."""
    statement = select(LedgerExport).where(
        or_(
            areas.within(within, division=LedgerExport.division_code),
            LedgerExport.area.in_([area.code for area in within]),
        )
    )
    if (after := page.after(tuple[UUID])) is not None:
        statement = statement.where(LedgerExport.id < after[0])
    statement = statement.order_by(LedgerExport.id.desc()).limit(page.size + 1)
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.id,))


def _lives(within: Sequence[Area], on: date) -> sa.ColumnElement[bool]:
    return and_(
        people.current(on),
        areas.within(
            within,
            division=Occupancy.division_code,
            grid=Occupancy.grid_code,
            compound=Occupancy.compound_id,
        ),
    )


async def count(session: ReadSession, within: Sequence[Area], *, on: date) -> int:
    """How many residents live in the areas."""
    found = select(func.count(Occupancy.resident_id.distinct())).where(_lives(within, on))
    return await session.scalar(found) or 0


def _card(column: sa.SQLColumnExpression[Any]) -> sa.ScalarSelect[Any]:
    return (
        select(column)
        .where(
            IdentityDocument.resident_id == Resident.id,
            IdentityDocument.kind == DocumentKind.RESIDENT_ID_CARD.value,
            IdentityDocument.status != DocumentStatus.REPLACED.value,
        )
        .order_by(IdentityDocument.blind_index)
        .limit(1)
        .scalar_subquery()
    )


def _phones(column: sa.SQLColumnExpression[Any]) -> sa.ScalarSelect[Any]:
    return (
        select(func.array_agg(aggregate_order_by(column, Phone.ordinal, Phone.blind_index)))
        .where(Phone.resident_id == Resident.id)
        .scalar_subquery()
    )


_LABELS = (
    select(func.array_agg(aggregate_order_by(ResidentLabel.label, ResidentLabel.label)))
    .where(ResidentLabel.resident_id == Resident.id)
    .scalar_subquery()
)


async def ledger(
    session: WriteSession, within: Sequence[Area], *, on: date
) -> AsyncGenerator[Sequence[Any]]:
    """A row for each person in each dwelling, by address; some at a time, all as of one instant."""
    await session.execute(_WAIT)
    statement = (
        select(
            Resident,
            Occupancy,
            Dwelling.building,
            Dwelling.unit,
            Dwelling.room,
            Compound.name.label("compound"),
            Division.name.label("village"),
            _card(IdentityDocument.number).label("number"),
            _card(IdentityDocument.blind_index).label("number_index"),
            _phones(Phone.number).label("phones"),
            _phones(Phone.blind_index).label("phone_indexes"),
            _LABELS.label("labels"),
        )
        .join(Occupancy, Occupancy.resident_id == Resident.id)
        .join(Dwelling, Dwelling.id == Occupancy.dwelling_id)
        .outerjoin(Compound, Compound.id == Dwelling.compound_id)
        .outerjoin(Division, Division.code == Dwelling.division_code)
        .where(_lives(within, on), Resident.state != "erased")
        .order_by(
            *(Occupancy.division_code, Compound.name, Dwelling.building, Dwelling.unit),
            *(Dwelling.room, Dwelling.id, Resident.id),
        )
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    found = await session.stream(statement)
    async for rows in found.partitions():
        yield rows
        session.expunge_all()


async def claim(session: WriteSession, *, now: datetime, until: datetime) -> LedgerExport | None:
    """The next export to be made, whose lease is now ours."""
    await session.execute(_STARTING)
    found = await session.scalar(
        select(LedgerExport)
        .where(
            or_(
                LedgerExport.state == "queued",
                and_(LedgerExport.state == "running", LedgerExport.lease_until < now),
            )
        )
        .order_by(LedgerExport.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if found is not None:
        found.state, found.lease_until = "running", until
    return found


async def renew(
    session: WriteSession, export_id: UUID, *, lease: datetime, until: datetime
) -> bool:
    """Keep the lease; whether it was still ours."""
    renewed = await session.execute(
        sa.update(LedgerExport)
        .where(
            LedgerExport.id == export_id,
            LedgerExport.state == "running",
            LedgerExport.lease_until == lease,
        )
        .values(lease_until=until)
        .returning(LedgerExport.id)
    )
    return renewed.scalar_one_or_none() is not None


async def to_expire(session: WriteSession, *, finished_before: datetime) -> Sequence[LedgerExport]:
    """Whose file has been kept for long enough, and those that nobody approved."""
    found = await session.scalars(
        select(LedgerExport)
        .where(
            or_(
                and_(LedgerExport.state == "succeeded", LedgerExport.finished_at < finished_before),
                and_(
                    LedgerExport.state == "waiting_approval",
                    LedgerExport.created_at < finished_before,
                ),
            )
        )
        .with_for_update(skip_locked=True)
    )
    return found.all()


async def file_keys(session: ReadSession) -> set[str]:
    keys = await session.scalars(select(LedgerExport.file_key).where(LedgerExport.file_key != ""))
    return set(keys)


async def any_running(session: WriteSession) -> bool:
    """Whether a file is being made; until the transaction ends none is begun."""
    await session.execute(_ERASING)
    running = select(LedgerExport.id).where(LedgerExport.state == "running").limit(1)
    return (await session.scalar(running)) is not None
