"""Names for figures: what areas and tags are called."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.common.areas import VILLAGE_LENGTH
from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import AreaName, Compound, Village

_NAME = sa.text("""
INSERT INTO area_name (code, name, generation)
SELECT code, name, :generation
FROM json_to_recordset(CAST(:areas AS json)) AS s (code text, name text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, generation = excluded.generation
""").bindparams(sa.bindparam("generation", type_=sa.Integer))


async def name_areas(
    session: WriteSession, states: Sequence[Mapping[str, Any]], *, generation: int
) -> None:
    """Store names of grids and of divisions above villages as an event states them."""
    names = {
        state["code"]: state["name"]
        for state in states
        if state["kind"] != "compound" and len(state["code"]) != VILLAGE_LENGTH
    }
    if names:
        document = json.dumps([{"code": code, "name": name} for code, name in names.items()])
        await session.execute(_NAME, {"areas": document, "generation": generation})


async def forget_names(session: WriteSession, generation: int) -> None:
    """Remove what a snapshot no longer mentioned."""
    await session.execute(sa.delete(AreaName).where(AreaName.generation < generation))


async def names(session: ReadSession, codes: Sequence[str]) -> Mapping[str, str]:
    """What areas of one kind are called, as far as it is known. One statement."""
    if not codes:
        return {}
    if len(codes[0]) == VILLAGE_LENGTH:
        found = sa.select(Village.code, Village.name).where(
            Village.code == sa.any_(_array(codes, sa.Text()))
        )
    elif codes[0].isdigit():
        found = sa.select(AreaName.code, AreaName.name).where(
            AreaName.code == sa.any_(_array(codes, sa.Text()))
        )
    else:
        ids = [UUID(code) for code in codes]
        found = sa.select(Compound.id, Compound.name).where(
            Compound.id == sa.any_(_array(ids, sa.Uuid())), Compound.name.is_not(None)
        )
    return {str(code): name for code, name in await session.execute(found)}


def _array(values: Sequence[Any], kind: Any) -> sa.BindParameter[Any]:
    # One parameter, however many values.
    return sa.literal(list(values), ARRAY(kind))
