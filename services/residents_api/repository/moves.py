"""What divisions and grids contained, moved to those that take over."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from services.common.database import WriteSession
from services.residents_api.repository import placing, states

BATCH_DWELLINGS = 1_000
BATCH_PEOPLE = 5_000

# Imports of a village hold the same lock for each of their batches.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('ledger ' || :code, 0))")

_IN_GRID = text("SELECT id FROM dwelling WHERE grid_code = :code ORDER BY id LIMIT :size")
_PUT_INTO_GRID = text("""
UPDATE dwelling SET grid_code = :successor, version = version + 1
 WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_BUILDINGS_INTO_GRID = text("""
UPDATE building SET grid_code = :successor, version = version + 1 WHERE grid_code = :code
""")

_KEPT = text("""
WITH kept AS (
    SELECT id FROM resident WHERE area_code = :code ORDER BY id LIMIT :size FOR UPDATE
)
UPDATE resident r SET area_code = :successor, version = version + 1, updated_at = :now
  FROM kept WHERE r.id = kept.id RETURNING r.id
""")


async def into_grid(
    session: WriteSession, code: str, successor: str, *, now: datetime, today: date
) -> None:
    """All dwellings, buildings and records of a grid into another one: a grid has some hundreds."""
    parameters = {"code": code, "successor": successor, "size": BATCH_DWELLINGS}
    while ids := (await session.scalars(_IN_GRID, parameters)).all():
        await placing.lock_people(session, ids)
        await session.execute(_PUT_INTO_GRID, {"ids": ids, "successor": successor})
        await placing.follow(session, ids, now=now, today=today)
    await session.execute(_BUILDINGS_INTO_GRID, {"code": code, "successor": successor})
    while await kept_by(session, code, successor, now=now, today=today):
        pass


async def kept_by(
    session: WriteSession, code: str, successor: str, *, now: datetime, today: date
) -> int:
    """Some of the records that a division or grid keeps, to its successor; how many."""
    ids = list(
        (
            await session.scalars(
                _KEPT, {"code": code, "successor": successor, "size": BATCH_PEOPLE, "now": now}
            )
        ).all()
    )
    for start in range(0, len(ids), 1_000):
        await states.emit_residents(session, ids[start : start + 1_000], today=today)
    return len(ids)


# Below: a village to its successors. `grids` and `compounds` say where each of them has gone; what
# is in neither of those that were assigned goes to `successor`.

_DWELLINGS_OF = text("SELECT id FROM dwelling WHERE division_code = :code ORDER BY id LIMIT :size")

# What is in a compound goes with it; else with its grid. A grid that has gone elsewhere than the
# dwelling contains it no more.
_MOVE_DWELLINGS = text(f"""
WITH gone AS (
    SELECT d.id, c.name AS compound,
           {placing.ADDRESS_KEY.format(compound="b.name")} AS key,
           coalesce(c.village_code, g.village_code, :successor) AS village_code,
           g.village_code AS grid_village, g.code AS grid_code
      FROM dwelling d
      LEFT JOIN compound c ON c.id = d.compound_id
      LEFT JOIN json_to_recordset(CAST(:compounds AS json)) AS b (id uuid, name text)
             ON b.id = d.compound_id
      LEFT JOIN json_to_recordset(CAST(:grids AS json)) AS s (code text, successor_code text)
             ON s.code = d.grid_code
      LEFT JOIN grid g ON g.code = s.successor_code
     WHERE d.id = ANY(CAST(:ids AS uuid[]))
), moved AS (
    UPDATE dwelling d
       SET division_code = g.village_code, version = version + 1,
           grid_code = CASE WHEN g.grid_village = g.village_code THEN g.grid_code END
      FROM gone g WHERE d.id = g.id
    RETURNING d.*
)
SELECT d.id, g.key AS before, {placing.ADDRESS_KEY.format(compound="g.compound")} AS key
  FROM moved d JOIN gone g ON g.id = d.id
""")

# An address that the successor has already (2组15号 of two villages) keeps the key of the former
# village: so they stay two, and no ledger can take one for the other.
_MOVE_ADDRESSES = text("""
UPDATE dwelling_address a SET key = m.key
  FROM json_to_recordset(CAST(:moved AS json)) AS m (id uuid, before text, key text)
 WHERE a.key = m.before AND a.dwelling_id = m.id
   AND NOT EXISTS (SELECT FROM dwelling_address x WHERE x.key = m.key)
""")

# A ledger of the successor speaks for the people of the former village too: what that one said last
# is what it has said.
_MOVE_STATEMENTS = text("""
UPDATE ledger_statement s SET source = 'ledger:' || o.division_code
  FROM (SELECT DISTINCT ON (resident_id) resident_id, division_code
          FROM occupancy WHERE dwelling_id = ANY(CAST(:ids AS uuid[]))
         ORDER BY resident_id, end_date DESC NULLS FIRST) o
 WHERE s.resident_id = o.resident_id AND s.source = 'ledger:' || :code
   AND NOT EXISTS (SELECT FROM ledger_statement x
                    WHERE x.resident_id = o.resident_id
                      AND x.source = 'ledger:' || o.division_code)
""")

# Whoever was placed while the move was under way.
_STRAYS = text("""
SELECT DISTINCT dwelling_id FROM occupancy WHERE division_code = :code LIMIT :size
""")

_MOVE_BUILDINGS = text("""
UPDATE building b
   SET village_code = coalesce(c.village_code, g.village_code, :successor), version = b.version + 1,
       grid_code = CASE WHEN g.village_code = coalesce(c.village_code, g.village_code)
                        THEN g.code END
  FROM building o
  LEFT JOIN compound c ON c.id = o.compound_id
  LEFT JOIN json_to_recordset(CAST(:grids AS json)) AS s (code text, successor_code text)
         ON s.code = o.grid_code
  LEFT JOIN grid g ON g.code = s.successor_code
 WHERE b.id = o.id AND b.village_code = :code
   AND NOT EXISTS (SELECT FROM building x
                    WHERE x.village_code = coalesce(c.village_code, g.village_code, :successor)
                      AND x.compound_id IS NOT DISTINCT FROM b.compound_id
                      AND x.number = b.number)
""")
# Of two with one number the successor's own is it.
_DROP_BUILDINGS = text("DELETE FROM building WHERE village_code = :code")


async def dwellings_of(
    session: WriteSession,
    code: str,
    *,
    successor: str,
    grids: Mapping[str, str],
    compounds: Mapping[str, str],
    now: datetime,
    today: date,
) -> tuple[int, int]:
    """Move some of a village's dwellings; how many, and how many people live or lived there.

    `grids` maps each of its grids to the one that took over, `compounds` the id of each of its
    compounds to the name that it had there.
    """
    await session.execute(_ONE_AT_A_TIME, {"code": code})
    ids = (await session.scalars(_DWELLINGS_OF, {"code": code, "size": BATCH_DWELLINGS})).all()
    if ids:
        await placing.lock_people(session, ids)
        rows = await session.execute(
            _MOVE_DWELLINGS,
            {
                "ids": ids,
                "successor": successor,
                "grids": _records(grids, "code", "successor_code"),
                "compounds": _records(compounds, "id", "name"),
            },
        )
        moved = [{"id": str(row.id), "before": row.before, "key": row.key} for row in rows]
        await session.execute(_MOVE_ADDRESSES, {"moved": json.dumps(moved)})
        people = await placing.follow(
            session, ids, now=now, today=today, keeper=code, successor=successor
        )
        await session.execute(_MOVE_STATEMENTS, {"ids": ids, "code": code})
        return len(ids), people
    strays = (await session.scalars(_STRAYS, {"code": code, "size": BATCH_DWELLINGS})).all()
    if strays:
        await placing.lock_people(session, strays)
    return 0, await placing.follow(session, strays, now=now, today=today) if strays else 0


async def buildings_of(
    session: WriteSession, code: str, *, successor: str, grids: Mapping[str, str]
) -> None:
    """Move all buildings of a village: some hundreds."""
    parameters = {
        "code": code,
        "successor": successor,
        "grids": _records(grids, "code", "successor_code"),
    }
    await session.execute(_MOVE_BUILDINGS, parameters)
    await session.execute(_DROP_BUILDINGS, {"code": code})


def _records(values: Mapping[str, str], key: str, value: str) -> str:
    records: Sequence[dict[str, Any]] = [{key: k, value: v} for k, v in values.items()]
    return json.dumps(records)
