"""Dwellings and occupancies."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import Dwelling, Occupancy, Resident


async def dwellings(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> tuple[Sequence[Dwelling], str | None]:
    inside = areas.within(
        within,
        division=Dwelling.division_code,
        grid=Dwelling.grid_code,
        compound=Dwelling.compound_id,
    )
    statement = pagination.keyset(
        select(Dwelling).where(inside),
        Dwelling.division_code,
        Dwelling.id,
        after=page.after(tuple[str, UUID]),
        size=page.size,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.division_code, row.id))


async def dwelling(session: ReadSession, dwelling_id: UUID) -> Dwelling | None:
    return await session.get(Dwelling, dwelling_id)


async def occupancies(
    session: ReadSession, whose: ColumnElement[bool], *, page: PageRequest
) -> tuple[Sequence[Occupancy], str | None]:
    """Past, present and pending ones, oldest first."""
    statement = pagination.keyset(
        select(Occupancy).where(whose),
        Occupancy.id,
        after=page.after(tuple[UUID]),
        size=page.size,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.id,))


async def occupancy(
    session: ReadSession, occupancy_id: UUID, *, within: Sequence[Area]
) -> Occupancy | None:
    """One occupancy of a dwelling within the areas, locked."""
    inside = areas.within(
        within,
        division=Occupancy.division_code,
        grid=Occupancy.grid_code,
        compound=Occupancy.compound_id,
    )
    statement = select(Occupancy).where(Occupancy.id == occupancy_id, inside).with_for_update()
    return await session.scalar(statement)


async def leaves_later(
    session: ReadSession, resident_id: UUID, dwelling_id: UUID, *, than: date
) -> bool:
    """Whether the resident lives in the dwelling, leaves it on a day to come, and after `than`."""
    later = exists().where(
        Occupancy.resident_id == resident_id,
        Occupancy.dwelling_id == dwelling_id,
        Occupancy.end_date > than,
    )
    return bool(await session.scalar(select(later)))


async def lock_resident(session: ReadSession, resident_id: UUID) -> Resident:
    """The resident's row orders all changes of the resident and their occupancies."""
    return await session.get_one(Resident, resident_id, with_for_update=True)
