"""Handing everything that is one resident's to another, and handing it back.

Each statement is one table; what it moved comes back as keys, which stay the same in whoever's hands
the rows are.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import exists, func, or_, select, text

from services.common.areas import Area, within
from services.common.database import ReadSession, WriteSession
from services.residents_api.models import ChangeRequest, Occupancy, Resident, ResidentMerge
from services.residents_api.repository import people

# Both live there now: the survivor's record of it counts. The other one stays where it was.
_SET_ASIDE = """
WITH twice AS (
    SELECT o.id, o.state, o.end_date FROM occupancy o
     WHERE o.resident_id = :merged AND o.end_date IS NULL
       AND EXISTS (SELECT FROM occupancy s
                    WHERE s.resident_id = :survivor AND s.dwelling_id = o.dwelling_id
                      AND s.end_date IS NULL)
), ended AS (
    UPDATE occupancy o
       SET state = 'rejected', end_date = greatest(o.start_date, CAST(:today AS date))
      FROM twice t WHERE o.resident_id = :merged AND o.id = t.id
)
SELECT CAST(id AS text) AS id, state FROM twice
"""

_OCCUPANCIES = """
UPDATE occupancy SET resident_id = :survivor
 WHERE resident_id = :merged AND CAST(id AS text) <> ALL(CAST(:aside AS text[]))
RETURNING CAST(id AS text)
"""

_DOCUMENTS = """
UPDATE identity_document SET resident_id = :survivor WHERE resident_id = :merged
RETURNING encode(blind_index, 'hex')
"""

_PHONES = """
UPDATE phone p SET resident_id = :survivor,
       ordinal = p.ordinal + (SELECT coalesce(max(o.ordinal), 0) FROM phone o
                               WHERE o.resident_id = :survivor)
 WHERE p.resident_id = :merged
   AND NOT EXISTS (SELECT FROM phone s
                    WHERE s.resident_id = :survivor AND s.blind_index = p.blind_index)
RETURNING encode(p.blind_index, 'hex')
"""

_LABELS = """
UPDATE resident_label l SET resident_id = :survivor
 WHERE l.resident_id = :merged
   AND NOT EXISTS (SELECT FROM resident_label s
                    WHERE s.resident_id = :survivor AND s.label = l.label)
RETURNING l.label
"""

_STATEMENTS = """
UPDATE ledger_statement l SET resident_id = :survivor
 WHERE l.resident_id = :merged
   AND NOT EXISTS (SELECT FROM ledger_statement s
                    WHERE s.resident_id = :survivor AND s.source = l.source)
RETURNING l.source
"""

_GUARDIANS = """
UPDATE guardian g SET resident_id = :survivor
 WHERE g.resident_id = :merged AND g.guardian_id IS DISTINCT FROM :survivor
   AND NOT EXISTS (SELECT FROM guardian s
                    WHERE s.resident_id = :survivor AND s.guardian_id = g.guardian_id)
RETURNING CAST(g.id AS text)
"""

_WARDS = """
UPDATE guardian g SET guardian_id = :survivor
 WHERE g.guardian_id = :merged AND g.resident_id <> :survivor
   AND NOT EXISTS (SELECT FROM guardian s
                    WHERE s.resident_id = g.resident_id AND s.guardian_id = :survivor)
RETURNING CAST(g.id AS text)
"""

_MOVES = {
    "documents": _DOCUMENTS,
    "phones": _PHONES,
    "labels": _LABELS,
    "statements": _STATEMENTS,
    "guardians": _GUARDIANS,
    "wards": _WARDS,
}

# Only what the survivor still has: what was corrected since stays corrected.
_BACK = {
    "occupancies": "UPDATE occupancy SET resident_id = :merged"
    " WHERE resident_id = :survivor AND CAST(id AS text) = ANY(CAST(:keys AS text[]))",
    "documents": "UPDATE identity_document SET resident_id = :merged WHERE resident_id = :survivor"
    " AND encode(blind_index, 'hex') = ANY(CAST(:keys AS text[]))",
    "phones": "UPDATE phone SET resident_id = :merged WHERE resident_id = :survivor"
    " AND encode(blind_index, 'hex') = ANY(CAST(:keys AS text[]))",
    "labels": "UPDATE resident_label SET resident_id = :merged WHERE resident_id = :survivor"
    " AND label = ANY(CAST(:keys AS text[]))",
    "statements": "UPDATE ledger_statement SET resident_id = :merged"
    " WHERE resident_id = :survivor AND source = ANY(CAST(:keys AS text[]))",
    "guardians": "UPDATE guardian SET resident_id = :merged WHERE resident_id = :survivor"
    " AND CAST(id AS text) = ANY(CAST(:keys AS text[]))",
    "wards": "UPDATE guardian SET guardian_id = :merged WHERE guardian_id = :survivor"
    " AND CAST(id AS text) = ANY(CAST(:keys AS text[]))",
}

_RESTORE_ASIDE = """
UPDATE occupancy SET state = :state, end_date = NULL
 WHERE resident_id = :merged AND CAST(id AS text) = :id AND state = 'rejected'
"""


async def hand_over(
    session: WriteSession, *, merged: UUID, survivor: UUID, today: date
) -> dict[str, Any]:
    """Everything of one to the other, but what the other has already. What was moved, by keys."""
    both = {"merged": merged, "survivor": survivor}
    rows = await session.execute(text(_SET_ASIDE), both | {"today": today})
    aside: dict[str, str] = {row.id: row.state for row in rows}
    moved: dict[str, Any] = {"aside": aside}
    rows = await session.scalars(text(_OCCUPANCIES), both | {"aside": list(aside)})
    moved["occupancies"] = list(rows)
    for name, statement in _MOVES.items():
        moved[name] = list(await session.scalars(text(statement), both))
    return moved


async def hand_back(
    session: WriteSession, moved: dict[str, Any], *, merged: UUID, survivor: UUID
) -> None:
    """What `hand_over` moved, as far as it is still there."""
    both = {"merged": merged, "survivor": survivor}
    for name, statement in _BACK.items():
        await session.execute(text(statement), both | {"keys": moved[name]})
    for key, state in moved["aside"].items():
        await session.execute(text(_RESTORE_ASIDE), {"merged": merged, "id": key, "state": state})


async def waits_for_review(session: ReadSession, resident_id: UUID) -> bool:
    """Whether somebody has yet to decide on a change of this resident."""
    pending = exists().where(
        ChangeRequest.resident_id == resident_id, ChangeRequest.state == "pending"
    )
    return bool(await session.scalar(select(pending)))


async def merged_within(session: ReadSession, row: ResidentMerge, areas: Sequence[Area]) -> bool:
    """Whether the areas contain the merged one: where they lived, or who kept their record."""
    lived = select(Occupancy.id).where(
        or_(
            Occupancy.resident_id == row.merged_id,
            sa.and_(
                Occupancy.resident_id == row.resident_id,
                Occupancy.id.in_([UUID(key) for key in row.moved["occupancies"]]),
            ),
        ),
        within(
            areas,
            division=Occupancy.division_code,
            grid=Occupancy.grid_code,
            compound=Occupancy.compound_id,
        ),
    )
    kept = select(Resident.id).where(Resident.id == row.merged_id, people.kept_within(areas))
    found = select(func.count()).select_from(lived.union_all(kept).limit(1).subquery())
    return bool(await session.scalar(found))
