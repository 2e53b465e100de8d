"""What the register's feed says, applied to many residents by each statement.

The rows go in as one JSON document: a page of the feed brings up to 200,000 states.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import (
    Compound,
    LedgerLabel,
    Resident,
    ResidentPlace,
    TagAssignment,
)

State = Mapping[str, Any]

# Dense numbers: one is taken only for who is new, so this is no INSERT ... ON CONFLICT UPDATE, which
# takes one for every row. Followers apply one page at a time, so nobody else inserts meanwhile.
_STATE = sa.text("""
WITH incoming AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:states AS json)) AS s (
        id uuid, version bigint, sex text, birth_date date, population_type text,
        ethnicity text, education text, marital_status text, political_status text
    )
), changed AS (
    UPDATE resident r SET
        version = i.version, generation = :generation, sex = i.sex, birth_date = i.birth_date,
        population_type = i.population_type, ethnicity = i.ethnicity, education = i.education,
        marital_status = i.marital_status, political_status = i.political_status
    FROM incoming i
    WHERE r.id = i.id AND (r.generation < :generation OR r.version < i.version)
    RETURNING r.id
), created AS (
    INSERT INTO resident (
        id, version, generation, sex, birth_date, population_type, ethnicity, education,
        marital_status, political_status
    )
    SELECT id, version, :generation, sex, birth_date, population_type, ethnicity, education,
        marital_status, political_status
    FROM incoming i WHERE NOT EXISTS (SELECT FROM resident r WHERE r.id = i.id)
    RETURNING id
)
SELECT id FROM changed UNION ALL SELECT id FROM created
""").bindparams(sa.bindparam("generation", type_=sa.Integer))

_PLACES = sa.text("""
INSERT INTO resident_place AS p (
    resident_id, n, division_code, grid_code, compound_id, tenure, start_date, end_date
)
SELECT * FROM json_to_recordset(CAST(:places AS json)) AS s (
    resident_id uuid, n smallint, division_code text, grid_code text, compound_id uuid,
    tenure text, start_date date, end_date date
)
ON CONFLICT (resident_id, n) DO UPDATE SET
    division_code = excluded.division_code, grid_code = excluded.grid_code,
    compound_id = excluded.compound_id, tenure = excluded.tenure,
    start_date = excluded.start_date, end_date = excluded.end_date
WHERE (p.division_code, p.grid_code, p.compound_id, p.tenure, p.start_date, p.end_date)
    IS DISTINCT FROM (excluded.division_code, excluded.grid_code, excluded.compound_id,
        excluded.tenure, excluded.start_date, excluded.end_date)
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

_COMPOUNDS = sa.text("""
INSERT INTO compound (id, village_code, generation)
SELECT id, village_code, :generation
FROM json_to_recordset(CAST(:compounds AS json)) AS s (id uuid, village_code text)
ON CONFLICT (id) DO UPDATE SET
    village_code = excluded.village_code, generation = excluded.generation
""").bindparams(sa.bindparam("generation", type_=sa.Integer))

_PLACE_FIELDS = ("division_code", "grid_code", "compound_id", "tenure", "start_date", "end_date")


async def apply_states(
    session: WriteSession, states: Sequence[State], *, generation: int
) -> set[UUID]:
    """Store states that are newer, by generation or version; the ids of those that were.

    One state per resident at most.
    """
    document = json.dumps(list(states))
    found = await session.scalars(_STATE, {"states": document, "generation": generation})
    return set(found.all())


async def replace_places(session: WriteSession, states: Sequence[State]) -> None:
    """Make the places of these residents those of the states."""
    places = [
        {"resident_id": state["id"], "n": n, **{field: place[field] for field in _PLACE_FIELDS}}
        for state in states
        for n, place in enumerate(state["places"])
    ]
    kept = [{"id": state["id"], "places": len(state["places"])} for state in states]
    await session.execute(_PLACES, {"places": json.dumps(places)})
    await session.execute(_NO_LONGER, {"kept": json.dumps(kept)})


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


async def apply_compounds(
    session: WriteSession, compounds: Sequence[State], *, generation: int
) -> None:
    """Store where compounds are. One entry per compound at most."""
    document = json.dumps(list(compounds))
    await session.execute(_COMPOUNDS, {"compounds": document, "generation": generation})


async def forget_before(session: WriteSession, generation: int) -> Sequence[tuple[str, UUID]]:
    """Remove what a snapshot no longer mentioned; which tags were taken off whom with it."""
    gone = sa.select(Resident.id).where(Resident.generation < generation)
    ended = await session.execute(
        sa.delete(TagAssignment)
        .where(TagAssignment.resident_id.in_(gone))
        .returning(TagAssignment.tag_code, TagAssignment.resident_id)
    )
    taken_off = [(row.tag_code, row.resident_id) for row in ended]
    for table in (ResidentPlace, LedgerLabel):
        await session.execute(sa.delete(table).where(table.resident_id.in_(gone)))
    for table in (Resident, Compound):
        await session.execute(sa.delete(table).where(table.generation < generation))
    return taken_off


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
