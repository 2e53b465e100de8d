"""What the neighbours are told of residents and areas: allow-listed state, built in SQL.

No name, no number and no phone ever stands in an event.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from services.common import outbox
from services.common.areas import VILLAGE_LENGTH
from services.common.database import ReadSession, WriteSession
from services.common.outbox import MAX_SUBJECTS, Event
from services.residents_api.models import Compound, Division, DivisionSuccessor, Grid

RESIDENT_CHANGED = "cn.shequ.residents.resident.changed"
AREA_CHANGED = "cn.shequ.residents.area.changed"

_STATE = """
jsonb_build_object(
    'id', r.id, 'version', r.version, 'sex', r.sex, 'birth_date', r.birth_date,
    'population_type', r.population_type, 'ethnicity', r.ethnicity, 'education', r.education,
    'marital_status', r.marital_status, 'political_status', r.political_status,
    'state', r.state, 'merged_into', r.merged_into,
    'keeper', jsonb_build_object(
        'division_code', left(r.area_code, 12),
        'grid_code', CASE WHEN length(r.area_code) = 15 THEN r.area_code END,
        'compound_id', r.keeper_compound_id),
    'labels', coalesce(
        (SELECT jsonb_agg(l.label ORDER BY l.label)
           FROM resident_label l WHERE l.resident_id = r.id), '[]'),
    'places', coalesce(
        (SELECT jsonb_agg(jsonb_build_object(
                    'dwelling_id', o.dwelling_id,
                    'division_code', o.division_code, 'grid_code', o.grid_code,
                    'compound_id', o.compound_id, 'tenure', o.tenure,
                    'start_date', o.start_date, 'end_date', o.end_date,
                    'lease_end_date', o.lease_end_date) ORDER BY o.id)
           FROM occupancy o
          WHERE o.resident_id = r.id AND o.state = 'approved' AND r.state = 'active'
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


def division_state(division: Division, successors: Sequence[str] = ()) -> dict[str, Any]:
    """`successors` are the codes of what a former division became."""
    village = division.code if len(division.code) == VILLAGE_LENGTH else None
    valid_to = division.valid_to.isoformat() if division.valid_to else None
    return area("division", division.code, division.name, village) | {
        "valid_to": valid_to,
        "successors": list(successors),
    }


def compound_state(compound: Compound) -> dict[str, Any]:
    return area("compound", str(compound.id), compound.name, compound.village_code) | {
        "longitude": compound.longitude,
        "latitude": compound.latitude,
        "risk_level": compound.risk_level,
        "households": compound.households,
        "population": compound.population,
    }


def grid_state(grid: Grid) -> dict[str, Any]:
    valid_to = grid.valid_to.isoformat() if grid.valid_to else None
    return area("grid", grid.code, grid.name or grid.code, grid.village_code) | {
        "valid_to": valid_to
    }


def new_compound(compound_id: UUID, name: str, village_code: str) -> dict[str, Any]:
    """A compound of which nothing but its name is known."""
    unknown = dict.fromkeys(("longitude", "latitude", "risk_level", "households", "population"))
    return area("compound", str(compound_id), name, village_code) | unknown


def new_grid(code: str, village_code: str) -> dict[str, Any]:
    """A grid of which nothing but its code is known."""
    return area("grid", code, code, village_code) | {"valid_to": None}


def area(kind: str, code: str, name: str, village_code: str | None) -> dict[str, Any]:
    """What is told of every area."""
    return {"kind": kind, "code": code, "name": name, "village_code": village_code}


async def emit_areas(session: WriteSession, states: Sequence[dict[str, Any]]) -> None:
    await outbox.emit(session, *outbox.batches(AREA_CHANGED, "areas", states))


async def all_areas(session: ReadSession) -> list[Event]:
    """Every area as events: a city has some thousands."""
    successors: dict[str, list[str]] = defaultdict(list)
    for link in await session.scalars(select(DivisionSuccessor)):
        successors[link.code].append(link.successor_code)
    states = [
        division_state(row, successors.get(row.code, ()))
        for row in await session.scalars(select(Division))
    ]
    states += [grid_state(row) for row in await session.scalars(select(Grid))]
    states += [compound_state(row) for row in await session.scalars(select(Compound))]
    return outbox.batches(AREA_CHANGED, "areas", states)
