"""Looking for people who are registered twice, behind whoever writes."""

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID

import structlog

from services.common import database
from services.common.areas import prefix_range
from services.common.clock import Clock
from services.common.database import ReadSession, Sessions, WriteSession
from services.residents_api.domain.duplicates import WORTH_A_LOOK, likeness
from services.residents_api.domain.sealing import Sealer
from services.residents_api.models import DuplicateCandidate, Resident
from services.residents_api.repository import duplicates as repository
from services.residents_api.schemas.duplicates import DuplicateRead
from services.residents_api.service.people import showing

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_AT_ONCE = 1000


async def keep_scanning(sessions: Sessions, clock: Clock) -> None:
    """For ever: compare whoever was changed, and whole villages if somebody asked for it."""
    while True:
        try:
            scanned = await scan_some(sessions, clock)
        except database.UNREACHABLE as failed:
            log.warning("duplicates.not_scanned", error=type(failed).__name__)
            scanned = False
        # Nobody waits for this: it takes a breath after each turn, too.
        await asyncio.sleep(_LOOK_SECONDS / 5 if scanned else _LOOK_SECONDS)


async def scan_some(sessions: Sessions, clock: Clock) -> bool:
    """One turn. Whether there may be more to do."""
    async with sessions.read() as session:
        if not await repository.anything_to_scan(session):
            return False
    async with sessions.write() as session:
        ids = await repository.next_changed(session, at_once=_AT_ONCE)
        await scan(session, ids, clock=clock)
    async with sessions.write() as session:
        village = await repository.next_village(session)
        if village is not None:
            people = await repository.of_village(session, village, end=prefix_range(village)[1])
            for start in range(0, len(people), _AT_ONCE):
                await scan(session, people[start : start + _AT_ONCE], clock=clock)
    return True


async def scan(session: WriteSession, ids: Collection[UUID], *, clock: Clock) -> None:
    """Compare these residents with whoever may be one with them."""
    if not ids:
        return
    pairs = await repository.pairs(session, ids)
    people = await repository.persons(session, {one for pair in pairs for one in pair})
    found = [
        (one, other, alike)
        for one, other in pairs
        if (alike := likeness(people[one], people[other])).score >= WORTH_A_LOOK
    ]
    await repository.store(session, ids, found, now=clock.now())


async def shown(
    session: ReadSession,
    sealer: Sealer,
    rows: Sequence[DuplicateCandidate],
    residents: dict[UUID, Resident],
) -> list[DuplicateRead]:
    """Pairs with those of their people whom the caller may see, masked."""
    masked = await showing.masked(session, sealer, list(residents.values()))
    by_id = {one.id: one for one in masked}
    return [
        DuplicateRead.model_validate(
            {
                "id": row.id,
                "state": row.state,
                "score": row.score,
                "reasons": row.reasons,
                "residents": [
                    by_id[each] for each in (row.resident_id, row.other_id) if each in by_id
                ],
                "found_at": row.found_at,
            }
        )
        for row in rows
    ]
