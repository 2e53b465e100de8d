"""Which areas there are, as the register's feed tells it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common.areas import Area, Place, place_of
from services.common.database import ReadSession, WriteSession
from services.common.projection import Fact
from services.reports_api.models import KnownArea
from services.reports_api.schemas import AreaChanged

AREA_CHANGED: Final = "cn.shequ.residents.area.changed"


class AreaProjection:
    """`known_area`: areas are only ever stated anew, so the last statement stands."""

    source = "residents_api"
    types: Sequence[str] = (AREA_CHANGED,)

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        stated = {
            area.code: {
                "code": area.code,
                "village_code": area.village_code,
                "generation": generation,
            }
            for fact in facts
            for area in AreaChanged.model_validate(fact.data).areas
        }
        if not stated:
            return
        statement = insert(KnownArea)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[KnownArea.code],
                set_={
                    "village_code": statement.excluded.village_code,
                    "generation": statement.excluded.generation,
                },
            ),
            list(stated.values()),
        )

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        await session.execute(sa.delete(KnownArea).where(KnownArea.generation < generation))


async def place(session: ReadSession, area: Area) -> Place | None:
    """Where an area is; None if the register has no such area."""
    found = await session.get(KnownArea, area.code)
    if found is None:
        return None
    return place_of(area, village_code=found.village_code)


async def village_of_compound(session: ReadSession, compound_id: UUID) -> str | None:
    statement = sa.select(KnownArea.village_code).where(KnownArea.code == str(compound_id))
    return await session.scalar(statement)
