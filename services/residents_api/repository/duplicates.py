"""Pairs worth comparing, found in SQL; and the pairs that wait for somebody to decide."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select, text
from sqlalchemy.orm import aliased

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.residents_api.domain.duplicates import Likeness, Person
from services.residents_api.models import DuplicateCandidate, Resident, ResidentMerge
from services.residents_api.repository import people
from services.residents_api.repository.states import RESIDENT_CHANGED

# A phone that so many have is an office's.
_HOLDERS = 20

_PAIRS = text("""
WITH changed AS MATERIALIZED (
    SELECT id, name, name_initials, birth_date FROM resident
     WHERE id = ANY(CAST(:ids AS uuid[])) AND state NOT IN ('merged', 'erased')
), home AS MATERIALIZED (
    SELECT c.id, c.name, o.dwelling_id, o.division_code
      FROM changed c JOIN occupancy o ON o.resident_id = c.id AND o.state = 'approved'
), neighbour AS MATERIALIZED (
    SELECT DISTINCT o.division_code, r.id, r.name
      FROM occupancy o JOIN resident r ON r.id = o.resident_id
     WHERE o.division_code IN (SELECT division_code FROM home) AND o.state = 'approved'
), pair (a, b) AS (
    SELECT c.id, r.id FROM changed c
      JOIN resident r ON r.birth_date = c.birth_date AND r.name_initials = c.name_initials
     UNION
    SELECT c.id, q.resident_id
      FROM changed c JOIN phone p ON p.resident_id = c.id
      JOIN phone q ON q.blind_index = p.blind_index
     WHERE (SELECT count(*) FROM (SELECT FROM phone h WHERE h.blind_index = p.blind_index
                                   LIMIT :holders + 1) few) <= :holders
     UNION
    SELECT h.id, o.resident_id FROM home h
      JOIN occupancy o ON o.dwelling_id = h.dwelling_id AND o.state = 'approved'
     UNION
    SELECT h.id, n.id FROM home h
      JOIN neighbour n ON n.division_code = h.division_code AND n.name = h.name
)
SELECT DISTINCT least(p.a, p.b) AS a, greatest(p.a, p.b) AS b
  FROM pair p JOIN resident r ON r.id = p.b AND r.state NOT IN ('merged', 'erased')
 WHERE p.a <> p.b
""")

_PEOPLE = text("""
SELECT r.id, r.name, r.name_pinyin, r.sex, r.birth_date, r.registered_address,
       (SELECT min(d.blind_index) FROM identity_document d
         WHERE d.resident_id = r.id AND d.kind = 'resident_id_card' AND d.status <> 'replaced')
       AS card,
       ARRAY(SELECT p.blind_index FROM phone p WHERE p.resident_id = r.id) AS phones,
       ARRAY(SELECT o.dwelling_id FROM occupancy o
              WHERE o.resident_id = r.id AND o.state = 'approved') AS dwellings,
       ARRAY(SELECT concat_ws(' ', c.name, d.building, d.unit, d.room)
               FROM occupancy o JOIN dwelling d ON d.id = o.dwelling_id
               JOIN compound c ON c.id = d.compound_id
              WHERE o.resident_id = r.id AND o.state = 'approved') AS addresses
  FROM resident r WHERE r.id = ANY(CAST(:ids AS uuid[]))
""")

_STORE = text("""
INSERT INTO duplicate_candidate AS c (resident_id, other_id, id, score, reasons, state, found_at)
SELECT f.a, f.b, uuidv7(), f.score, string_to_array(f.reasons, ' '), 'open', :now
  FROM unnest(CAST(:a AS uuid[]), CAST(:b AS uuid[]), CAST(:scores AS integer[]),
              CAST(:reasons AS text[])) AS f (a, b, score, reasons)
    ON CONFLICT (resident_id, other_id)
    DO UPDATE SET score = excluded.score, reasons = excluded.reasons
 WHERE c.state = 'open' AND (c.score, c.reasons) IS DISTINCT FROM (excluded.score, excluded.reasons)
""")

_FORGET = text("""
DELETE FROM duplicate_candidate c
 WHERE c.state = 'open'
   AND (c.resident_id = ANY(CAST(:ids AS uuid[])) OR c.other_id = ANY(CAST(:ids AS uuid[])))
   AND NOT EXISTS (SELECT FROM unnest(CAST(:a AS uuid[]), CAST(:b AS uuid[])) AS f (a, b)
                    WHERE f.a = c.resident_id AND f.b = c.other_id)
""")

# An import has the machine; whom it wrote is compared after it.
_IMPORTING = "EXISTS (SELECT FROM ledger_import WHERE state = 'running')"

_WAITING = text(f"""
SELECT NOT {_IMPORTING}
   AND (EXISTS (SELECT FROM duplicate_scan_village)
        OR EXISTS (SELECT FROM outbox
                    WHERE position > coalesce((SELECT position FROM duplicate_scan), 0)
                      AND type = :type))
""")

_CURSOR = text("""
INSERT INTO duplicate_scan AS d (position) VALUES (0)
    ON CONFLICT (singleton) DO UPDATE SET position = d.position RETURNING position
""")

_NEXT_EVENTS = text("""
SELECT position, ARRAY(SELECT CAST(e ->> 'id' AS uuid)
                         FROM jsonb_array_elements(data -> 'residents') e) AS ids
  FROM outbox WHERE position > :position AND type = :type ORDER BY position LIMIT 20
""")

_MOVE_CURSOR = text("UPDATE duplicate_scan SET position = :position")

_TAKE_VILLAGE = text("""
DELETE FROM duplicate_scan_village
 WHERE village_code = (SELECT village_code FROM duplicate_scan_village
                        ORDER BY village_code LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING village_code
""")

_OF_VILLAGE = text("""
SELECT DISTINCT resident_id FROM occupancy WHERE division_code = :village AND state = 'approved'
 UNION
SELECT id FROM resident WHERE area_code >= :village AND area_code < :end
""")

_QUEUE = text("""
INSERT INTO duplicate_scan_village (village_code) SELECT unnest(CAST(:villages AS text[]))
    ON CONFLICT DO NOTHING
""")


async def pairs(session: ReadSession, ids: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """Who may be one with one of these residents: the smaller id first."""
    rows = await session.execute(_PAIRS, {"ids": list(ids), "holders": _HOLDERS})
    return [(row.a, row.b) for row in rows]


async def persons(session: ReadSession, ids: Collection[UUID]) -> dict[UUID, Person]:
    found: dict[UUID, Person] = {}
    for row in await session.execute(_PEOPLE, {"ids": list(ids)}):
        registered = (row.registered_address,) if row.registered_address else ()
        found[row.id] = Person(
            id=row.id,
            name=row.name,
            pinyin=row.name_pinyin,
            sex=row.sex,
            birth_date=row.birth_date,
            card=row.card,
            phones=frozenset(row.phones),
            dwellings=frozenset(row.dwellings),
            addresses=(*row.addresses, *registered),
        )
    return found


async def store(
    session: WriteSession,
    ids: Collection[UUID],
    found: Iterable[tuple[UUID, UUID, Likeness]],
    *,
    now: datetime,
) -> None:
    """Put pairs into the queue, and take those of `ids` out that are not alike any more. What
    somebody has decided stays.
    """
    rows = list(found)
    keys = {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}
    likeness = {
        "scores": [row[2].score for row in rows],
        "reasons": [" ".join(row[2].reasons) for row in rows],
    }
    if rows:
        await session.execute(_STORE, keys | likeness | {"now": now})
    await session.execute(_FORGET, keys | {"ids": list(ids)})


async def anything_to_scan(session: ReadSession) -> bool:
    return bool(await session.scalar(_WAITING, {"type": RESIDENT_CHANGED}))


async def next_changed(session: WriteSession, *, at_once: int) -> set[UUID]:
    """Residents whom the feed tells of next; whoever asks holds the cursor until it commits."""
    position = await session.scalar(_CURSOR)
    rows = await session.execute(_NEXT_EVENTS, {"position": position, "type": RESIDENT_CHANGED})
    ids: set[UUID] = set()
    for row in rows:
        if ids and len(ids) + len(row.ids) > at_once:
            break
        ids.update(row.ids)
        position = row.position
    await session.execute(_MOVE_CURSOR, {"position": position})
    return ids


async def next_village(session: WriteSession) -> str | None:
    return await session.scalar(_TAKE_VILLAGE)


async def of_village(session: ReadSession, village: str, *, end: str) -> Sequence[UUID]:
    return (await session.scalars(_OF_VILLAGE, {"village": village, "end": end})).all()


async def queue(session: WriteSession, villages: Sequence[str]) -> None:
    await session.execute(_QUEUE, {"villages": list(villages)})


def _both_visible(within: Sequence[Area], *, on: date) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(
            select(Resident.id)
            .where(Resident.id == side, people.visible(within, on=on))
            .limit(1)
            .scalar_subquery()
            .is_not(None)
            for side in (DuplicateCandidate.resident_id, DuplicateCandidate.other_id)
        )
    )


async def candidates(
    session: ReadSession,
    *,
    mine: Sequence[Area],
    within: Sequence[Area],
    state: str,
    on: date,
    page: PageRequest,
) -> tuple[Sequence[DuplicateCandidate], str | None]:
    """Pairs with somebody within the areas, the most alike first. Both are the caller's to see;
    a merged one is not seen any more, so of merged pairs the survivor decides.
    """
    statement = select(DuplicateCandidate).where(DuplicateCandidate.state == state)
    sides = (DuplicateCandidate.resident_id, DuplicateCandidate.other_id)
    seen = [_seen(side, within, on=on) for side in sides]
    statement = statement.where(sa.or_(*seen))
    if state != "merged":
        statement = statement.where(_both_visible(mine, on=on))
    statement = pagination.keyset(
        statement,
        DuplicateCandidate.score,
        DuplicateCandidate.id,
        after=page.after(tuple[int, UUID]),
        size=page.size,
        descending=True,
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.score, row.id))


def _seen(side: Any, within: Sequence[Area], *, on: date) -> sa.ColumnElement[bool]:
    somebody = select(Resident.id).where(Resident.id == side, people.visible(within, on=on))
    return somebody.limit(1).scalar_subquery().is_not(None)


async def candidate(
    session: ReadSession, candidate_id: UUID, *, within: Sequence[Area], on: date
) -> DuplicateCandidate | None:
    """Locked, and both of the pair the caller's to see."""
    return await session.scalar(
        select(DuplicateCandidate)
        .where(DuplicateCandidate.id == candidate_id, _both_visible(within, on=on))
        .with_for_update(of=DuplicateCandidate)
    )


async def merge(
    session: ReadSession, merge_id: UUID, *, lock: bool = False
) -> ResidentMerge | None:
    statement = select(ResidentMerge).where(ResidentMerge.id == merge_id)
    return await session.scalar(statement.with_for_update() if lock else statement)


async def survivor_of(session: ReadSession, resident_id: UUID) -> UUID | None:
    """Into whom somebody was merged in the end; None for whoever was not."""
    root = (
        select(Resident.merged_into.label("id"))
        .where(Resident.id == resident_id, Resident.state == "merged")
        .cte("survivor", recursive=True)
    )
    following = aliased(Resident)
    chain = root.union(
        select(following.merged_into).where(following.id == root.c.id, following.state == "merged")
    )
    return await session.scalar(
        select(Resident.id).where(Resident.id.in_(select(chain.c.id)), Resident.state != "merged")
    )
