"""What villages are called."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.common.areas import VILLAGE_LENGTH
from services.common.database import WriteSession
from services.tagging_api.models import Village

_APPLY = sa.text("""
INSERT INTO village (code, name, generation)
SELECT code, name, :generation
FROM json_to_recordset(CAST(:villages AS json)) AS s (code text, name text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, generation = excluded.generation
""").bindparams(sa.bindparam("generation", type_=sa.Integer))


async def apply(
    session: WriteSession, states: Sequence[Mapping[str, Any]], *, generation: int
) -> None:
    """Store the villages among divisions as an event states them, the last state of each."""
    names = {
        state["code"]: state["name"] for state in states if len(state["code"]) == VILLAGE_LENGTH
    }
    if names:
        document = json.dumps([{"code": code, "name": name} for code, name in names.items()])
        await session.execute(_APPLY, {"villages": document, "generation": generation})


async def forget_before(session: WriteSession, generation: int) -> None:
    """Remove what a snapshot no longer mentioned."""
    await session.execute(sa.delete(Village).where(Village.generation < generation))
