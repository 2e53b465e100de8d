"""Buildings, their units, and which dwellings are in them."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import Building, BuildingUnit, Dwelling, Occupancy
from services.residents_api.repository import people


async def buildings(
    session: ReadSession, *, within: Sequence[Area], status: str | None, page: PageRequest
) -> Sequence[Building]:
    statement = select(Building).where(
        areas.within(
            within,
            division=Building.village_code,
            grid=Building.grid_code,
            compound=Building.compound_id,
        )
    )
    if status is not None:
        statement = statement.where(Building.status == status)
    statement = pagination.keyset(
        statement,
        Building.village_code,
        Building.id,
        after=page.after(tuple[str, UUID]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def units(
    session: ReadSession, building_id: UUID, *, page: PageRequest
) -> Sequence[BuildingUnit]:
    statement = pagination.keyset(
        select(BuildingUnit).where(BuildingUnit.building_id == building_id),
        BuildingUnit.number,
        after=page.after(tuple[str]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def building_of(session: ReadSession, dwelling: Dwelling) -> Building | None:
    """The building that a dwelling is in, if it is registered; it stays what it is until the
    transaction ends.
    """
    if dwelling.building is None:
        return None
    statement = select(Building).where(
        Building.village_code == dwelling.division_code,
        Building.compound_id.is_not_distinct_from(dwelling.compound_id),
        Building.number == dwelling.building,
    )
    statement = statement.with_for_update(read=True).execution_options(populate_existing=True)
    return await session.scalar(statement)


def _inside(building: Building) -> ColumnElement[bool]:
    return and_(
        Dwelling.division_code == building.village_code,
        Dwelling.compound_id.is_not_distinct_from(building.compound_id),
        Dwelling.building == building.number,
    )


async def has_dwellings(session: ReadSession, building: Building) -> bool:
    return bool(await session.scalar(select(exists().where(_inside(building)))))


async def is_inhabited(session: ReadSession, building: Building, *, on: date) -> bool:
    """Whether somebody lives in one of its dwellings, or is to."""
    lives = exists().where(
        Occupancy.dwelling_id == Dwelling.id, people.current(on), _inside(building)
    )
    return bool(await session.scalar(select(lives)))
