"""Divisions, grids and compounds."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.models import Compound, Division


async def divisions(
    session: ReadSession, *, parent_code: str | None, page: PageRequest
) -> Sequence[Division]:
    """Children of a division; without a parent, the roots."""
    statement = select(Division).where(
        Division.parent_code == parent_code if parent_code else Division.parent_code.is_(None)
    )
    statement = pagination.keyset(
        statement, Division.code, after=page.after(tuple[str]), size=page.size
    )
    return (await session.scalars(statement)).all()


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


async def village_of_compound(session: ReadSession, compound_id: UUID) -> str | None:
    return await session.scalar(select(Compound.village_code).where(Compound.id == compound_id))
