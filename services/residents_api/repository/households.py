"""Who lives together."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Row, exists, select

from services.common.database import ReadSession
from services.common.pagination import MAX_PAGE_SIZE
from services.residents_api.domain.households import HEAD
from services.residents_api.models import Occupancy, Resident
from services.residents_api.repository import people


async def living_in(
    session: ReadSession, dwelling_id: UUID, *, on: date
) -> Sequence[Row[Occupancy, Resident]]:
    """Everybody who lives in a dwelling, in the order in which they came; at most 200."""
    statement = (
        select(Occupancy, Resident)
        .join(Resident, Resident.id == Occupancy.resident_id)
        .where(Occupancy.dwelling_id == dwelling_id, people.current(on), Resident.state == "active")
        .order_by(Occupancy.id)
        .limit(MAX_PAGE_SIZE)
    )
    return (await session.execute(statement)).all()


async def has_head(
    session: ReadSession, dwelling_id: UUID, *, on: date, but: UUID | None = None
) -> bool:
    """Whether a dwelling has a head of the household on a day or later, but for one resident."""
    other = sa.true() if but is None else Occupancy.resident_id != but
    statement = exists().where(
        Occupancy.dwelling_id == dwelling_id,
        Occupancy.relation_to_head == HEAD,
        people.current(on),
        other,
    )
    return bool(await session.scalar(select(statement)))
