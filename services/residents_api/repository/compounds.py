"""Compounds, and what is counted in them."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select, text

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.residents_api.models import (
    Building,
    Compound,
    CompoundContact,
    Dwelling,
    Occupancy,
    Resident,
)
from services.residents_api.repository import areas as repository
from services.residents_api.repository import states

# In one pass over the occupancies of a village, or of the city.
_COUNT = """
UPDATE compound c SET households_counted = n.households, population_counted = n.population
  FROM (SELECT k.id, count(DISTINCT o.dwelling_id) AS households,
               count(DISTINCT o.resident_id) AS population
          FROM compound k
          LEFT JOIN occupancy o ON o.compound_id = k.id AND o.state = 'approved'
               AND (o.end_date IS NULL OR o.end_date > CAST(:today AS date))
         WHERE {where} GROUP BY k.id) n
 WHERE c.id = n.id
   AND (c.households_counted, c.population_counted)
       IS DISTINCT FROM (CAST(n.households AS integer), CAST(n.population AS integer))
RETURNING c.id
"""


async def compounds(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> Sequence[Compound]:
    inside = areas.within(within, division=Compound.village_code, compound=Compound.id)
    statement = pagination.keyset(
        select(Compound).where(inside),
        Compound.village_code,
        Compound.id,
        after=page.after(tuple[str, UUID]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def contacts(session: ReadSession, compound_id: UUID) -> Sequence[CompoundContact]:
    """In the order in which they were said."""
    statement = (
        select(CompoundContact)
        .where(CompoundContact.compound_id == compound_id)
        .order_by(CompoundContact.ordinal)
    )
    return (await session.scalars(statement)).all()


async def is_used(session: ReadSession, compound_id: UUID) -> bool:
    """Whether a building, a dwelling, an occupancy or somebody's record is in the compound."""
    return await repository.anything(
        session,
        Dwelling.compound_id == compound_id,
        Building.compound_id == compound_id,
        Occupancy.compound_id == compound_id,
        Resident.keeper_compound_id == compound_id,
    )


async def count_people(
    session: WriteSession, *, today: date, village_code: str | None = None
) -> None:
    """Count households and people of the compounds of a village, or of all, and tell of those
    where there are others than before. Nobody's edit: the versions stay.
    """
    where = "k.village_code = :village_code" if village_code else "true"
    parameters = {"today": today} | ({"village_code": village_code} if village_code else {})
    changed = (await session.scalars(text(_COUNT.format(where=where)), parameters)).all()
    if changed:
        statement = select(Compound).where(Compound.id.in_(changed))
        rows = await session.scalars(statement.execution_options(populate_existing=True))
        await states.emit_areas(session, [states.compound_state(row) for row in rows])
