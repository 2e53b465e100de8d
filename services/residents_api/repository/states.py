"""What the neighbours are told of residents and areas: allow-listed state, built in SQL.

No name, no number and no phone ever stands in an event.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from services.common import outbox
from services.common.database import ReadSession, WriteSession
from services.common.outbox import MAX_SUBJECTS, Event
from services.residents_api.models import Compound, Division, Grid

RESIDENT_CHANGED = "cn.shequ.residents.resident.changed"
AREA_CHANGED = "cn.shequ.residents.area.changed"

_STATE = """
jsonb_build_object(
    'id', r.id, 'version', r.version, 'sex', r.sex, 'birth_date', r.birth_date,
    'population_type', r.population_type, 'ethnicity', r.ethnicity, 'education', r.education,
    'marital_status', r.marital_status, 'political_status', r.political_status,
    'labels', coalesce(
        (SELECT jsonb_agg(l.label ORDER BY l.label)
           FROM resident_label l WHERE l.resident_id = r.id), '[]'),
    'places', coalesce(
        (SELECT jsonb_agg(jsonb_build_object(
                    'division_code', o.division_code, 'grid_code', o.grid_code,
                    'compound_id', o.compound_id, 'tenure', o.tenure,
                    'start_date', o.start_date, 'end_date', o.end_date) ORDER BY o.id)
           FROM occupancy o
          WHERE o.resident_id = r.id AND o.state = 'approved'
            AND (o.end_date IS NULL OR o.end_date > CAST(:today AS date))), '[]'))
"""

_OF_RESIDENTS = text(f"""
SELECT {_STATE} AS state FROM resident r WHERE r.id = ANY(CAST(:ids AS uuid[])) ORDER BY r.id
""")

_PAGE = text(f"""
SELECT r.id, {_STATE} AS state FROM resident r
 WHERE r.id > CAST(:after AS uuid) ORDER BY r.id LIMIT {MAX_SUBJECTS}
""")

_EMIT_SELECTED = """
INSERT INTO outbox (event_id, type, data)
SELECT uuidv7(), '{type}', jsonb_build_object('residents', jsonb_agg(state))
  FROM (SELECT {state} AS state, (row_number() OVER (ORDER BY r.id) - 1) / {size} AS chunk
          FROM resident r WHERE r.id IN ({ids})) states
 GROUP BY chunk
"""


async def emit_residents(session: WriteSession, ids: Sequence[UUID], *, today: date) -> None:
    """Tell the neighbours the new state of a few residents."""
    rows = await session.execute(_OF_RESIDENTS, {"ids": list(ids), "today": today})
    states = [row.state for row in rows]
    await outbox.emit(session, *outbox.batches(RESIDENT_CHANGED, "residents", states))


async def emit_selected(session: WriteSession, ids_query: str, *, today: date) -> None:
    """Tell the state of all residents whose ids a query of ours yields, without leaving SQL."""
    statement = _EMIT_SELECTED.format(
        type=RESIDENT_CHANGED, state=_STATE, size=MAX_SUBJECTS, ids=ids_query
    )
    await session.execute(text(statement), {"today": today})
    outbox.mark(session)


async def resident_page(
    session: ReadSession, *, after: UUID, today: date
) -> tuple[list[dict[str, Any]], UUID | None]:
    """A page of everybody's state, and the id to go on from."""
    rows = (await session.execute(_PAGE, {"after": after, "today": today})).all()
    return [row.state for row in rows], rows[-1].id if len(rows) == MAX_SUBJECTS else None


def division_state(division: Division) -> dict[str, Any]:
    village = division.code if len(division.code) == 12 else None
    return area("division", division.code, division.name, village)


def compound_state(compound: Compound) -> dict[str, Any]:
    return area("compound", str(compound.id), compound.name, compound.village_code)


def grid_state(grid: Grid) -> dict[str, Any]:
    return area("grid", grid.code, grid.code, grid.village_code)


def area(kind: str, code: str, name: str, village_code: str | None) -> dict[str, Any]:
    return {"kind": kind, "code": code, "name": name, "village_code": village_code}


async def emit_areas(session: WriteSession, states: Sequence[dict[str, Any]]) -> None:
    await outbox.emit(session, *outbox.batches(AREA_CHANGED, "areas", states))


async def all_areas(session: ReadSession) -> list[Event]:
    """Every area as events: a city has some thousands."""
    states = [division_state(row) for row in await session.scalars(select(Division))]
    states += [grid_state(row) for row in await session.scalars(select(Grid))]
    states += [compound_state(row) for row in await session.scalars(select(Compound))]
    return outbox.batches(AREA_CHANGED, "areas", states)
