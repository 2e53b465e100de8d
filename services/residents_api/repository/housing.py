"""Dwellings and occupancies."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, or_, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import Compound, Dwelling, Occupancy, Resident
from services.residents_api.repository import history, people

PENDING = "pending"


async def dwellings(
    session: ReadSession,
    *,
    within: Sequence[Area],
    use: str | None,
    building: str | None,
    page: PageRequest,
) -> tuple[Sequence[Dwelling], str | None]:
    inside = areas.within(
        within,
        division=Dwelling.division_code,
        grid=Dwelling.grid_code,
        compound=Dwelling.compound_id,
    )
    statement = select(Dwelling).where(inside)
    if use is not None:
        statement = statement.where(Dwelling.use == use)
    if building is not None:
        statement = statement.where(Dwelling.building == building)
    statement = pagination.keyset(
        statement,
        Dwelling.division_code,
        Dwelling.id,
        after=page.after(tuple[str, UUID]),
        size=page.size,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.division_code, row.id))


async def dwelling(session: ReadSession, dwelling_id: UUID) -> Dwelling | None:
    return await session.get(Dwelling, dwelling_id)


async def has_occupancies(session: ReadSession, dwelling_id: UUID) -> bool:
    """Whether anybody lives there, or ever did."""
    return bool(await session.scalar(select(exists().where(Occupancy.dwelling_id == dwelling_id))))


async def compound_names(session: ReadSession, ids: Collection[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    statement = select(Compound.id, Compound.name).where(Compound.id.in_(ids))
    return {row.id: row.name for row in await session.execute(statement)}


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


async def occupancies_of_resident_as_of(
    session: ReadSession, resident_id: UUID, *, until: datetime, page: PageRequest
) -> tuple[Sequence[Occupancy], str | None]:
    """As they were registered just before an instant."""
    return _paged(await history.as_of(session, Occupancy, [resident_id], until=until), page)


async def occupancies_of_dwelling_as_of(
    session: ReadSession, dwelling_id: UUID, *, until: datetime, page: PageRequest
) -> tuple[Sequence[Occupancy], str | None]:
    """The same, of everybody who has lived there; a dwelling has few of them."""
    living = await session.scalars(
        select(Occupancy.resident_id).where(Occupancy.dwelling_id == dwelling_id)
    )
    whose = {*living, *await history.who_left(session, dwelling_id)}
    rows = await history.as_of(session, Occupancy, list(whose), until=until)
    return _paged([row for row in rows if row.dwelling_id == dwelling_id], page)


def _paged(rows: Sequence[Occupancy], page: PageRequest) -> tuple[Sequence[Occupancy], str | None]:
    after = page.after(tuple[UUID])
    ordered = sorted(rows, key=lambda row: row.id)
    found = [row for row in ordered if after is None or row.id > after[0]][: page.size + 1]
    return pagination.cut(found, page, keys=lambda row: (row.id,))


async def occupancy(
    session: ReadSession, occupancy_id: UUID, *, within: Sequence[Area]
) -> Occupancy | None:
    """One occupancy of a dwelling within the areas, locked."""
    return await session.scalar(_occupancy(occupancy_id, within).with_for_update())


async def occupancy_seen(
    session: ReadSession, occupancy_id: UUID, *, within: Sequence[Area]
) -> Occupancy | None:
    """The same, to be looked at only."""
    return await session.scalar(_occupancy(occupancy_id, within))


def _occupancy(occupancy_id: UUID, within: Sequence[Area]) -> Select[Occupancy]:
    return select(Occupancy).where(Occupancy.id == occupancy_id, _inside(within))


def _inside(within: Sequence[Area]) -> ColumnElement[bool]:
    return areas.within(
        within,
        division=Occupancy.division_code,
        grid=Occupancy.grid_code,
        compound=Occupancy.compound_id,
    )


async def leaves_later(
    session: ReadSession, resident_id: UUID, dwelling_id: UUID, *, than: date
) -> bool:
    """Whether the resident lives in the dwelling, leaves it on a day to come, and after `than`."""
    later = exists().where(
        Occupancy.resident_id == resident_id,
        Occupancy.dwelling_id == dwelling_id,
        Occupancy.end_date > than,
        Occupancy.state != "rejected",
    )
    return bool(await session.scalar(select(later)))


async def lived_in(session: ReadSession, resident_id: UUID, *, after: date) -> Sequence[Occupancy]:
    """Where somebody lives, or has left later than that day; the one they came to last at the end."""
    statement = (
        select(Occupancy)
        .where(Occupancy.resident_id == resident_id, people.current(after))
        .order_by(Occupancy.start_date.nulls_first(), Occupancy.id)
    )
    return (await session.scalars(statement)).all()


async def worklist(
    session: ReadSession,
    *,
    within: Sequence[Area],
    state: str | None,
    on: date,
    page: PageRequest,
) -> tuple[Sequence[Occupancy], str | None]:
    """Occupancies of dwellings within the areas; pending ones of their residents as well."""
    statement = select(Occupancy).where(
        _inside(within) if state != PENDING else _concerns(within, on=on)
    )
    ended = Occupancy.end_date <= on
    match state:
        case None:
            pass
        case "ended":
            statement = statement.where(ended, Occupancy.state != "rejected")
        case "rejected":
            statement = statement.where(Occupancy.state == state)
        case _:
            statement = statement.where(
                Occupancy.state == state, or_(Occupancy.end_date.is_(None), Occupancy.end_date > on)
            )
    statement = pagination.keyset(
        statement,
        Occupancy.division_code,
        Occupancy.resident_id,
        Occupancy.id,
        after=page.after(tuple[str, UUID, UUID]),
        size=page.size,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.division_code, row.resident_id, row.id))


async def concerning(
    session: ReadSession, occupancy_id: UUID, *, within: Sequence[Area], on: date
) -> Occupancy | None:
    """An occupancy of a dwelling or of a resident within the areas."""
    statement = select(Occupancy).where(Occupancy.id == occupancy_id, _concerns(within, on=on))
    return await session.scalar(statement)


def _concerns(within: Sequence[Area], *, on: date) -> ColumnElement[bool]:
    seen = exists().where(Resident.id == Occupancy.resident_id, people.visible(within, on=on))
    return or_(_inside(within), seen)


async def lock_resident(session: ReadSession, resident_id: UUID) -> Resident:
    """The resident's row orders all changes of the resident and their occupancies."""
    return await session.get_one(Resident, resident_id, with_for_update=True)
