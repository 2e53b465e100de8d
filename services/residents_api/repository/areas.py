"""Divisions and grids."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import (
    Building,
    Compound,
    Division,
    DivisionSuccessor,
    Dwelling,
    Grid,
    Resident,
)

COUNTY_LENGTH = 6


async def divisions(
    session: ReadSession,
    *,
    parent_code: str | None,
    on: date,
    former: bool,
    page: PageRequest,
) -> Sequence[Division]:
    """Children of a division; without a parent, the roots. Of those there are on a day, or of all
    there ever were.
    """
    statement = select(Division).where(
        Division.parent_code == parent_code if parent_code else Division.parent_code.is_(None)
    )
    if not former:
        statement = statement.where(or_(Division.valid_to.is_(None), Division.valid_to > on))
    statement = pagination.keyset(
        statement, Division.code, after=page.after(tuple[str]), size=page.size
    )
    return (await session.scalars(statement)).all()


async def villages_around(session: ReadSession, village_code: str) -> dict[str, str]:
    """Names of all villages of the same county, by code."""
    statement = select(Division.code, Division.name).where(
        Division.level == "village",
        areas.within([Area.parse(village_code[:COUNTY_LENGTH])], division=Division.code),
    )
    return {row.code: row.name for row in await session.execute(statement)}


async def village_of_compound(session: ReadSession, compound_id: UUID) -> str | None:
    return await session.scalar(select(Compound.village_code).where(Compound.id == compound_id))


async def successors(session: ReadSession, code: str) -> Sequence[Division]:
    """The divisions that took over from a former one."""
    statement = (
        select(Division)
        .join(DivisionSuccessor, DivisionSuccessor.successor_code == Division.code)
        .where(DivisionSuccessor.code == code)
        .order_by(Division.code)
    )
    return (await session.scalars(statement)).all()


async def became(session: ReadSession, code: str) -> Sequence[str]:
    """Codes of what a division has become, by way of others too; none if it is still there."""
    first = (
        select(DivisionSuccessor.successor_code)
        .where(DivisionSuccessor.code == code)
        .cte("became", recursive=True)
    )
    later = select(DivisionSuccessor.successor_code).join(
        first, DivisionSuccessor.code == first.c.successor_code
    )
    chain = first.union(later)
    return (await session.scalars(select(chain.c.successor_code).order_by("successor_code"))).all()


async def division_names(session: ReadSession, villages: Collection[str]) -> dict[str, list[str]]:
    """For each village the names from the province down to itself."""
    lengths = (2, 4, 6, 9, 12)
    codes = {village[:length] for village in villages for length in lengths}
    statement = select(Division.code, Division.name).where(Division.code.in_(codes))
    names = {row.code: row.name for row in await session.execute(statement)}
    return {
        village: [names[code] for n in lengths if (code := village[:n]) in names]
        for village in villages
    }


async def grids(
    session: ReadSession, *, within: Sequence[Area], on: date, former: bool, page: PageRequest
) -> Sequence[Grid]:
    statement = select(Grid).where(areas.within(within, division=Grid.village_code, grid=Grid.code))
    if not former:
        statement = statement.where(or_(Grid.valid_to.is_(None), Grid.valid_to > on))
    statement = pagination.keyset(
        statement, Grid.code, after=page.after(tuple[str]), size=page.size
    )
    return (await session.scalars(statement)).all()


async def last_serial(session: ReadSession, village_code: str) -> int:
    """The highest serial that a grid of the village has, or had."""
    last = await session.scalar(
        select(func.max(Grid.code)).where(Grid.village_code == village_code)
    )
    return int(last[areas.VILLAGE_LENGTH :]) if last else 0


async def grid_is_used(session: ReadSession, code: str) -> bool:
    """Whether a building, a dwelling or somebody's record is in the grid."""
    return await anything(
        session,
        Dwelling.grid_code == code,
        Building.grid_code == code,
        Resident.area_code == code,
    )


async def anything(session: ReadSession, *conditions: ColumnElement[bool]) -> bool:
    """Whether any of the conditions, each about a table of its own, holds of a row."""
    return bool(await session.scalar(select(or_(*(exists().where(c) for c in conditions)))))
