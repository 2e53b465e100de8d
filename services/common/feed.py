"""The producer's side of a feed: `/internal/feed` and `/internal/snapshot`.

Both need a service token and never pass the gateway. Events are CloudEvents 1.0 JSON in position
order. A consumer that is too far behind, or that knows another epoch, is told 410 and starts again
from the snapshot.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request

from services.common import outbox
from services.common.database import Notifications, ReadSession, Sessions
from services.common.errors import refuses
from services.common.outbox import HEAD, OUTBOX, Event
from services.common.positions import Cursor
from services.common.problems import (
    Problem,
    RequestInvalid,
    RouteNotFound,
    Text,
    TokenInvalid,
    TokenMissing,
)
from services.common.routing import Reading, UnitOfWorkRoute, public
from services.common.security import service_caller

MAX_WAIT_SECONDS = 30.0
# Of events as PostgreSQL stores them, compressed: a few times as much on the wire.
_PAGE_BYTES = 1024 * 1024


class FeedGone(Problem):
    status = 410
    code = "feed.gone"
    title = Text(
        "该位置已不可用，请从快照重新开始", "That position is gone; start again from the snapshot"
    )


class CloudEvent(BaseModel):
    """CloudEvents 1.0, JSON format, with the position as an extension attribute."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str | None
    time: datetime
    datacontenttype: str = "application/json"
    traceparent: str | None
    position: int
    data: dict[str, Any]


class FeedPage(BaseModel):
    events: list[CloudEvent]
    next: str
    head: str


class SnapshotItem(BaseModel):
    """One event's worth of current state: what `data` of that type would say now."""

    type: str
    data: dict[str, Any]


class SnapshotPage(BaseModel):
    """`position` is where to follow the feed from once the last page (`next` null) is read."""

    items: list[SnapshotItem]
    next: str | None
    position: str


# Given the token of the page before (None at first), a page of state and the next token.
Snapshot = Callable[[ReadSession, str | None], Awaitable[tuple[Sequence[Event], str | None]]]


@dataclass(frozen=True, slots=True)
class Feed:
    """What a producing service puts in its app's state."""

    service: str
    sessions: Sessions
    notifications: Notifications
    snapshot: Snapshot


def neighbour(request: Request) -> str:
    """The neighbour that calls; refuses everyone else."""
    accepted: dict[str, str] = request.state.service_tokens
    return service_caller(request, accepted)


def _source(request: Request) -> Feed:
    source: Feed | None = request.state.feed
    if source is None:
        raise RouteNotFound()
    return source


router = APIRouter(
    prefix="/internal",
    include_in_schema=False,
    route_class=UnitOfWorkRoute,
    dependencies=[Depends(neighbour)],
)


@router.get("/feed", responses=refuses(TokenMissing, TokenInvalid, FeedGone))
@public
async def feed(
    request: Request,
    after: Annotated[str, Query(max_length=60)],
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    type: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> FeedPage:
    """Events after a position, waiting up to `wait` seconds for the first."""
    source = _source(request)
    cursor = _cursor(after)
    deadline = time.monotonic() + wait
    while True:
        # Taken before the look: what is committed between look and wait wakes us, too.
        notified = source.notifications.next
        page = await _page(source, cursor, limit, type)
        remaining = deadline - time.monotonic()
        # A page of other types only has moved the cursor: hand that over rather than wait again.
        if page.events or page.next != after or remaining <= 0:
            return page
        if await request.is_disconnected():
            # Nobody waits for this answer any more, and a server that stops would wait for it.
            return page
        await source.notifications.wait(notified, timeout=min(remaining, 1.0))


def _cursor(after: str) -> Cursor:
    try:
        return Cursor.parse(after)
    except ValueError:
        raise RequestInvalid.at(
            "/query/after", "cursor.malformed", Text("游标格式不正确", "<epoch>.<position>")
        ) from None


async def _page(source: Feed, after: Cursor, limit: int, types: list[str] | None) -> FeedPage:
    # A session for each look, not for the whole wait: a long poll holds no connection.
    async with source.sessions.read() as session:
        found = await _look(session, after, limit, types)
    head = Cursor(found[0].epoch, found[0].head)
    if after.epoch != head.epoch or after.position < found[0].purged:
        raise FeedGone()
    if after.position > head.position:
        await outbox.new_epoch(source.sessions, seen=after)
        raise FeedGone()
    rows = [row for row in found if row.position is not None]
    # A page that is not full has looked at everything up to the head, whatever the types.
    is_full = bool(rows) and (rows[0].candidates == limit or rows[0].candidates > len(rows))
    last: int = rows[-1].position if is_full else head.position
    return FeedPage(
        events=[
            CloudEvent(
                id=str(row.event_id),
                source=f"/{source.service}",
                type=row.type,
                subject=row.subject,
                time=row.time,
                traceparent=row.traceparent,
                position=row.position,
                data=row.data,
            )
            for row in rows
        ],
        next=str(Cursor(head.epoch, last)),
        head=str(head),
    )


async def _look(
    session: ReadSession, after: Cursor, limit: int, types: list[str] | None
) -> Sequence[Any]:
    """The head, beside every event of the page, or alone if there is none.

    One statement sees one state: a purge between two would pass for a feed that had nothing to say.
    An event of a ledger tells of a thousand residents: a page ends with the event that fills it.
    """
    event = (
        sa.select(OUTBOX)
        .where(OUTBOX.c.position > after.position)
        .order_by(OUTBOX.c.position)
        .limit(limit)
    )
    if types:
        event = event.where(OUTBOX.c.type.in_(types))
    candidate = event.subquery("candidate")
    stored = sa.func.coalesce(sa.func.pg_column_size(candidate.c.data), 0)
    sized = sa.select(
        candidate,
        sa.func.count().over().label("candidates"),
        (sa.func.sum(stored).over(order_by=candidate.c.position) - stored).label("bytes_before"),
    ).subquery("sized")
    page = sa.select(sized).where(sized.c.bytes_before < _PAGE_BYTES).lateral("page")
    statement = (
        sa.select(HEAD.c.epoch, HEAD.c.position.label("head"), HEAD.c.purged, page)
        .select_from(HEAD.outerjoin(page, sa.true()))
        .order_by(page.c.position)
    )
    return (await session.execute(statement)).all()


@router.get("/snapshot", responses=refuses(TokenMissing, TokenInvalid))
@public
async def snapshot(
    request: Request,
    session: Reading,
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> SnapshotPage:
    """The current state in pages.

    Whatever changes while the pages are read comes again by the feed: follow it from the position
    that the first page said.
    """
    source = _source(request)
    position, _ = await outbox.head(session)
    events, next_token = await source.snapshot(session, after)
    return SnapshotPage(
        items=[SnapshotItem(type=event.type, data=dict(event.data)) for event in events],
        next=next_token,
        position=str(position),
    )
