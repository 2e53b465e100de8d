"""Whose something is: it belongs to the areas of its creator.

Campaigns, saved audiences and surveys each have a table of such areas (`models.base.OwnersArea`).
"""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from services.common import areas as common_areas
from services.common.areas import Area, AreaKind, Place, place_of
from services.common.database import ReadSession
from services.tagging_api.models.base import OwnersArea
from services.tagging_api.repository import residents


def visible(
    owned: type[OwnersArea], its_own: ColumnElement[bool], *, areas: Sequence[Area]
) -> ColumnElement[bool]:
    """Whoever is responsible for all areas of its creator sees something.

    `its_own` picks the areas of one: `CampaignArea.campaign_id == Campaign.id`.
    """
    inside = common_areas.within(
        areas,
        division=owned.division_code,
        grid=owned.grid_code,
        compound=owned.compound_id,
    )
    return sa.not_(sa.exists().where(its_own, inside.is_not(True)))


async def places(session: ReadSession, areas: Sequence[Area]) -> list[Place]:
    """The areas as places, in their order. A compound's village is looked up."""
    compounds = [UUID(area.code) for area in areas if area.kind is AreaKind.COMPOUND]
    villages = await residents.villages_of_compounds(session, compounds)
    return [
        place_of(
            area,
            village_code=villages.get(UUID(area.code)) if area.kind is AreaKind.COMPOUND else None,
        )
        for area in areas
    ]
