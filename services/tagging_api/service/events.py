"""What this service tells its neighbours: who bears which tag."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from uuid import UUID, uuid5

from services.common import clock as common_clock
from services.common import outbox
from services.common.clock import Clock
from services.common.database import ReadSession, WriteSession
from services.common.feed import Snapshot
from services.common.outbox import MAX_SUBJECTS, Event
from services.common.problems import RequestInvalid, Text
from services.tagging_api.repository import assignments

ASSIGNMENT_CHANGED = "cn.shequ.tagging.assignment.changed"
# What the index holds of these residents is not what it was. Told to itself, in the same transaction.
RESIDENT_CHANGED = "cn.shequ.tagging.resident.changed"
_SNAPSHOT_PAGE = 10_000


def assignment_changed(
    pairs: Iterable[tuple[str, UUID]], *, assigned: bool, cause: str | None = None
) -> list[Event]:
    """Pairs of tag and resident as events: one tag each, and up to 1,000 residents.

    `assigned` is whether they bear the tag now, whoever says so. With a `cause`, text that says what
    happened and when, the events have the same ids whenever they are found again.
    """
    events: list[Event] = []
    for tag, group in groupby(sorted(set(pairs)), key=itemgetter(0)):
        ids = [str(resident_id) for _, resident_id in group]
        for start in range(0, len(ids), MAX_SUBJECTS):
            some = ids[start : start + MAX_SUBJECTS]
            data = {"tag": tag, "resident_ids": some, "assigned": assigned}
            found = stable_id(tag, str(assigned), cause, *some) if cause is not None else None
            events.append(Event(ASSIGNMENT_CHANGED, data, subject=tag, id=found))
    return events


async def tell(
    session: WriteSession, pairs: Iterable[tuple[str, UUID]], *, on: date, cause: str | None = None
) -> None:
    """Say of pairs of tag and resident whether they hold now. Sources may have come or gone."""
    told = set(pairs)
    if not told:
        return
    borne = await assignments.borne(session, told, on=on)
    await outbox.emit(
        session,
        *assignment_changed(borne, assigned=True, cause=cause),
        *assignment_changed(told - borne, assigned=False, cause=cause),
    )


def stable_id(*parts: str) -> UUID:
    """The id of an event that consists of these."""
    return uuid5(_NAMESPACE, "/".join(parts))


_NAMESPACE = UUID("6b8f2a54-3c0e-5d1b-9f47-21d6c0a7e3b8")


def resident_changed(resident_ids: Iterable[UUID]) -> list[Event]:
    """Residents of whom anything that rules ask about is different now: up to 1,000 an event."""
    ids = sorted(map(str, set(resident_ids)))
    return [
        Event(RESIDENT_CHANGED, {"resident_ids": ids[start : start + MAX_SUBJECTS]})
        for start in range(0, len(ids), MAX_SUBJECTS)
    ]


def snapshot(clock: Clock) -> Snapshot:
    """Who bears which tag today, in stretches; the token names the last pair of the one before."""

    async def page(session: ReadSession, token: str | None) -> tuple[Sequence[Event], str | None]:
        last = _pair(token) if token is not None else None
        today = common_clock.today(clock)
        pairs = await assignments.after(session, last, on=today, limit=_SNAPSHOT_PAGE)
        if len(pairs) < _SNAPSHOT_PAGE:
            following = None
        else:
            tag, resident_id = pairs[-1]
            following = f"{tag}/{resident_id}"
        return assignment_changed(pairs, assigned=True), following

    return page


def _pair(token: str) -> tuple[str, UUID]:
    tag, _, resident_id = token.partition("/")
    try:
        return tag, UUID(resident_id)
    except ValueError:
        detail = Text("游标格式不正确", "Not a cursor of this feed")
        raise RequestInvalid.at("/query/after", "cursor.malformed", detail) from None
