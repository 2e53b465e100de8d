"""What the register's feed says, applied to many residents by each statement.

The rows go in as one JSON document: a page of the feed brings up to 200,000 states.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import (
    Compound,
    Resident,
)

State = Mapping[str, Any]

_COLUMNS = (
    "version bigint, sex text, birth_date date, population_type text, ethnicity text,"
    " education text, marital_status text, political_status text, state text, merged_into uuid,"
    " keeper_division_code text, keeper_grid_code text, keeper_compound_id uuid"
)
_NAMES = [column.split()[0] for column in _COLUMNS.split(", ")]

# Dense numbers: one is taken only for who is new, so this is no INSERT ... ON CONFLICT UPDATE, which
# takes one for every row. Followers apply one page at a time, so nobody else inserts meanwhile.
_STATE = sa.text(f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:states AS json)) AS s (id uuid, {_COLUMNS})
), changed AS (
    UPDATE resident r SET
        generation = :generation, {", ".join(f"{name} = i.{name}" for name in _NAMES)}
    FROM incoming i
    WHERE r.id = i.id AND (r.generation < :generation OR r.version < i.version)
    RETURNING r.id
), created AS (
    INSERT INTO resident (id, generation, {", ".join(_NAMES)})
    SELECT id, :generation, {", ".join(_NAMES)}
    FROM incoming i WHERE NOT EXISTS (SELECT FROM resident r WHERE r.id = i.id)
    RETURNING id
)
SELECT id FROM changed UNION ALL SELECT id FROM created
""").bindparams(sa.bindparam("generation", type_=sa.Integer))

_PLACE_COLUMNS = (
    "division_code text, grid_code text, compound_id uuid, tenure text, start_date date,"
    " end_date date, dwelling_id uuid, lease_end_date date"
)
_PLACE_NAMES = [column.split()[0] for column in _PLACE_COLUMNS.split(", ")]

_PLACES = sa.text(f"""
INSERT INTO resident_place AS p (resident_id, n, {", ".join(_PLACE_NAMES)})
SELECT * FROM json_to_recordset(CAST(:places AS json)) AS s (
    resident_id uuid, n smallint, {_PLACE_COLUMNS}
)
ON CONFLICT (resident_id, n) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _PLACE_NAMES)}
WHERE ({", ".join(f"p.{name}" for name in _PLACE_NAMES)})
    IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _PLACE_NAMES)})
""")

_NO_LONGER = sa.text("""
DELETE FROM resident_place p USING json_to_recordset(CAST(:kept AS json)) AS s (id uuid, places int)
WHERE p.resident_id = s.id AND p.n >= s.places
""")

_LABELS = sa.text("""
INSERT INTO ledger_label (resident_id, label)
SELECT * FROM json_to_recordset(CAST(:labels AS json)) AS s (resident_id uuid, label text)
ON CONFLICT DO NOTHING
RETURNING resident_id, label
""")


class ResidentState(StrEnum):
    """What has become of somebody. Only the active live somewhere."""

    ACTIVE = "active"
    MOVED_OUT = "moved_out"
    DECEASED = "deceased"
    MERGED = "merged"
    ERASED = "erased"


# Of these nothing is kept but that they were.
DEPARTED = frozenset({ResidentState.MERGED, ResidentState.ERASED})


def state_of(state: State) -> ResidentState:
    """A register that does not say knows no others."""
    return ResidentState(state.get("state") or ResidentState.ACTIVE)


async def apply_states(
    session: WriteSession, states: Sequence[State], *, generation: int
) -> set[UUID]:
    """Store states that are newer, by generation or version; the ids of those that were.

    One state per resident at most.
    """
    document = json.dumps([_row(state) for state in states])
    found = await session.scalars(_STATE, {"states": document, "generation": generation})
    return set(found.all())


def _row(state: State) -> dict[str, Any]:
    fate = state_of(state)
    kept = {"id": state["id"], "version": state["version"], "state": fate}
    if fate is ResidentState.MERGED:
        return kept | {"merged_into": state.get("merged_into")}
    if fate is ResidentState.ERASED:
        return kept
    keeper: State = state.get("keeper") or {}
    return (
        {name: state.get(name) for name in _NAMES}
        | {f"keeper_{name}": keeper.get(name) for name in _KEEPER}
        | kept
    )


_KEEPER = ("division_code", "grid_code", "compound_id")


async def replace_places(session: WriteSession, states: Sequence[State]) -> None:
    """Make the places of these residents those of the states."""
    lived = [(state["id"], _places(state)) for state in states]
    places = [
        {"resident_id": resident_id, "n": n, **{name: place.get(name) for name in _PLACE_NAMES}}
        for resident_id, found in lived
        for n, place in enumerate(found)
    ]
    kept = [{"id": resident_id, "places": len(found)} for resident_id, found in lived]
    await session.execute(_PLACES, {"places": json.dumps(places)})
    await session.execute(_NO_LONGER, {"kept": json.dumps(kept)})


def _places(state: State) -> Sequence[State]:
    return state["places"] if state_of(state) is ResidentState.ACTIVE else ()


async def remember_labels(
    session: WriteSession, states: Sequence[State]
) -> Sequence[tuple[UUID, str]]:
    """Note the label words; those not seen of that resident before."""
    labels = [
        {"resident_id": state["id"], "label": label}
        for state in states
        for label in state["labels"]
    ]
    if not labels:
        return ()
    found = await session.execute(_LABELS, {"labels": json.dumps(labels)})
    return [(row.resident_id, row.label) for row in found]


async def unknown(session: ReadSession, resident_ids: Sequence[UUID]) -> bool:
    """Whether any of the ids has not arrived from the register."""
    known = await session.scalar(
        sa.select(sa.func.count()).where(Resident.id.in_(set(resident_ids)))
    )
    return known != len(set(resident_ids))


async def villages_of_compounds(
    session: ReadSession, compound_ids: Sequence[UUID]
) -> Mapping[UUID, str]:
    """The village of each compound that is known."""
    if not compound_ids:
        return {}
    found = await session.execute(
        sa.select(Compound.id, Compound.village_code).where(Compound.id.in_(compound_ids))
    )
    return {row.id: row.village_code for row in found}
