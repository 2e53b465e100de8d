"""What this service tells its neighbours: who bears which tag."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from services.common.database import ReadSession
from services.common.outbox import MAX_SUBJECTS, Event
from services.common.problems import RequestInvalid, Text
from services.tagging_api.repository import assignments

ASSIGNMENT_CHANGED = "cn.shequ.tagging.assignment.changed"
_SNAPSHOT_PAGE = 10_000


def assignment_changed(pairs: Iterable[tuple[str, UUID]], *, assigned: bool) -> list[Event]:
    """Pairs of tag and resident as events: one tag each, and up to 1,000 residents."""
    events: list[Event] = []
    for tag, group in groupby(sorted(pairs), key=itemgetter(0)):
        ids = [str(resident_id) for _, resident_id in group]
        for start in range(0, len(ids), MAX_SUBJECTS):
            some = ids[start : start + MAX_SUBJECTS]
            data = {"tag": tag, "resident_ids": some, "assigned": assigned}
            events.append(Event(ASSIGNMENT_CHANGED, data, subject=tag))
    return events


async def snapshot(session: ReadSession, token: str | None) -> tuple[Sequence[Event], str | None]:
    """Every assignment, in stretches; the token names the last pair of the one before."""
    last = _pair(token) if token is not None else None
    pairs = await assignments.after(session, last, limit=_SNAPSHOT_PAGE)
    if len(pairs) < _SNAPSHOT_PAGE:
        following = None
    else:
        tag, resident_id = pairs[-1]
        following = f"{tag}/{resident_id}"
    return assignment_changed(pairs, assigned=True), following


def _pair(token: str) -> tuple[str, UUID]:
    tag, _, resident_id = token.partition("/")
    try:
        return tag, UUID(resident_id)
    except ValueError:
        detail = Text("游标格式不正确", "Not a cursor of this feed")
        raise RequestInvalid.at("/query/after", "cursor.malformed", detail) from None
