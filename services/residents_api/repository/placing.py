"""Dwellings that change their area, and everything that repeats where they stand."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from services.common.database import ReadSession, WriteSession
from services.common.outbox import MAX_SUBJECTS
from services.residents_api.repository import states

# As in `domain.addresses.address_key`, of a dwelling `d` and the name of its compound.
ADDRESS_KEY = """
concat_ws('|', d.division_code, replace(coalesce({compound}, ''), '|', '/'),
          replace(coalesce(d.building, ''), '|', '/'), replace(coalesce(d.unit, ''), '|', '/'),
          replace(coalesce(d.room, ''), '|', '/'))
"""

# In the order of ids, as imports do, so that neither waits for the other.
_LOCK_PEOPLE = text("""
SELECT r.id FROM resident r
 WHERE r.id IN (SELECT o.resident_id FROM occupancy o WHERE o.dwelling_id = ANY(CAST(:ids AS uuid[])))
 ORDER BY r.id FOR UPDATE
""")

_FOLLOW = text("""
WITH moved AS (
    UPDATE occupancy o
       SET division_code = d.division_code, grid_code = d.grid_code, compound_id = d.compound_id
      FROM dwelling d
     WHERE o.dwelling_id = d.id AND d.id = ANY(CAST(:ids AS uuid[]))
       AND (o.division_code, o.grid_code, o.compound_id)
           IS DISTINCT FROM (d.division_code, d.grid_code, d.compound_id)
    RETURNING o.resident_id
)
UPDATE resident r
   SET version = r.version + 1, updated_at = :now,
       area_code = CASE WHEN r.area_code = :keeper THEN :successor ELSE r.area_code END
 WHERE r.id IN (SELECT resident_id FROM moved)
RETURNING r.id
""")

_RENAME = text(f"""
UPDATE dwelling_address a
   SET key = {ADDRESS_KEY.format(compound="CAST(:name AS text)")}
  FROM dwelling d
 WHERE d.compound_id = :compound_id AND a.dwelling_id = d.id
   AND a.key = {ADDRESS_KEY.format(compound="CAST(:before AS text)")}
""")


async def lock_people(session: ReadSession, dwelling_ids: Sequence[UUID]) -> None:
    """Lock everybody who lives or lived there: before the dwellings are changed."""
    await session.execute(_LOCK_PEOPLE, {"ids": list(dwelling_ids)})


async def follow(
    session: WriteSession,
    dwelling_ids: Sequence[UUID],
    *,
    now: datetime,
    today: date,
    keeper: str = "",
    successor: str = "",
) -> int:
    """After dwellings have changed their areas: let the occupancies follow, and tell of everybody
    who lives or lived there. Returns how many people that are.

    Those whose record a `keeper` keeps that is no more are kept by its `successor` from then on.
    """
    parameters = {
        "ids": list(dwelling_ids),
        "now": now,
        "keeper": keeper,
        "successor": successor,
    }
    moved = list((await session.scalars(_FOLLOW, parameters)).all())
    for start in range(0, len(moved), MAX_SUBJECTS):
        await states.emit_residents(session, moved[start : start + MAX_SUBJECTS], today=today)
    return len(moved)


async def rename_compound(
    session: WriteSession, compound_id: UUID, *, before: str, name: str
) -> None:
    """A compound's name stands in the keys of its dwellings' addresses."""
    await session.execute(_RENAME, {"compound_id": compound_id, "before": before, "name": name})
