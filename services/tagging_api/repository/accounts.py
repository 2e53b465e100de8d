"""Who can sign in, as the gateway states it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.common.database import WriteSession
from services.tagging_api.models import Account

_STATE = sa.text("""
INSERT INTO account AS a (id, version, generation, resident_id, active)
SELECT DISTINCT ON (id) id, version, :generation, resident_id, active
FROM json_to_recordset(CAST(:states AS json)) AS s (
    id uuid, version bigint, resident_id uuid, active boolean
)
ORDER BY id, version DESC
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, generation = excluded.generation,
    resident_id = excluded.resident_id, active = excluded.active
WHERE (a.generation, a.version) < (excluded.generation, excluded.version)
""").bindparams(sa.bindparam("generation", type_=sa.Integer))


async def apply(
    session: WriteSession, states: Sequence[Mapping[str, Any]], *, generation: int
) -> None:
    """Store states that are newer, by generation or version."""
    if states:
        document = json.dumps(list(states))
        await session.execute(_STATE, {"states": document, "generation": generation})


async def forget_before(session: WriteSession, generation: int) -> None:
    """Remove what a snapshot no longer mentioned."""
    await session.execute(sa.delete(Account).where(Account.generation < generation))
