"""The register's state for neighbours who start: areas first, then residents by id."""

from collections.abc import Sequence
from uuid import UUID

from services.common.clock import Clock, today
from services.common.database import ReadSession
from services.common.feed import Snapshot
from services.common.outbox import Event
from services.residents_api.repository import states

_FIRST = UUID(int=0)


def snapshot(clock: Clock) -> Snapshot:
    async def page(session: ReadSession, after: str | None) -> tuple[Sequence[Event], str | None]:
        if after is None:
            return await states.all_areas(session), str(_FIRST)
        found, last = await states.resident_page(session, after=UUID(after), today=today(clock))
        events = [Event(states.RESIDENT_CHANGED, {"residents": found})] if found else []
        return events, str(last) if last else None

    return page
