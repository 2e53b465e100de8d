"""Compounds: where they are, how large, and how many of an audience live in each."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pyroaring import BitMap
from sqlalchemy.dialects.postgresql import ARRAY

from services.common import areas as common_areas
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import Compound, Resident, ResidentPlace

_APPLY = sa.text("""
INSERT INTO compound (
    id, village_code, generation, name, longitude, latitude, risk_level, households, population
)
SELECT id, village_code, :generation, name, longitude, latitude, risk_level, households, population
FROM json_to_recordset(CAST(:compounds AS json)) AS s (
    id uuid, village_code text, name text, longitude float8, latitude float8, risk_level text,
    households int, population int
)
ON CONFLICT (id) DO UPDATE SET
    village_code = excluded.village_code, generation = excluded.generation, name = excluded.name,
    longitude = excluded.longitude, latitude = excluded.latitude,
    risk_level = excluded.risk_level, households = excluded.households,
    population = excluded.population
""").bindparams(sa.bindparam("generation", type_=sa.Integer))

# What the register may say of a compound. A register that does not yet is no error: null.
_FIELDS = (
    "village_code",
    "name",
    "longitude",
    "latitude",
    "risk_level",
    "households",
    "population",
)


async def apply(
    session: WriteSession, states: Sequence[Mapping[str, Any]], *, generation: int
) -> None:
    """Store compounds as an event states areas, the last state of each."""
    rows = {state["code"]: {field: state.get(field) for field in _FIELDS} for state in states}
    document = json.dumps([{"id": code, **row} for code, row in rows.items()])
    await session.execute(_APPLY, {"compounds": document, "generation": generation})


async def within(session: ReadSession, area: Area, *, limit: int) -> Sequence[Compound]:
    """Compounds of a division, or the one itself, by id."""
    inside = common_areas.within([area], division=Compound.village_code, compound=Compound.id)
    return (
        await session.scalars(sa.select(Compound).where(inside).order_by(Compound.id).limit(limit))
    ).all()


async def members(
    session: ReadSession, numbers: BitMap, compound_ids: Sequence[UUID], *, on: date
) -> dict[UUID, int]:
    """How many of the residents live in each of the compounds. One statement.

    Whoever lives in two counts in both.
    """
    if not numbers or not compound_ids:
        return {}
    given = (
        sa.func.unnest(sa.literal(list(numbers), ARRAY(sa.Integer)))
        .table_valued(sa.column("number", sa.Integer))
        .render_derived(name="given")
    )
    place = ResidentPlace
    counted = (
        sa.select(place.compound_id, sa.func.count(sa.distinct(place.resident_id)).label("members"))
        .select_from(given)
        .join(Resident, Resident.number == given.c.number)
        .join(place, place.resident_id == Resident.id)
        .where(
            place.compound_id == sa.any_(sa.literal(list(compound_ids), ARRAY(sa.Uuid))),
            sa.or_(place.start_date.is_(None), place.start_date <= on),
            sa.or_(place.end_date.is_(None), place.end_date > on),
        )
        .group_by(place.compound_id)
    )
    return {row.compound_id: row.members for row in await session.execute(counted)}
