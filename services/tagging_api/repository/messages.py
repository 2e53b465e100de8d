"""The inbox."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common import pagination
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Message


async def page(
    session: ReadSession,
    resident_id: UUID,
    *,
    unread: bool | None = None,
    topic: str | None = None,
    page: PageRequest,
) -> Sequence[Message]:
    """A resident's messages, newest first."""
    chosen = sa.select(Message).where(Message.resident_id == resident_id)
    if unread is not None:
        chosen = chosen.where(Message.read_at.is_(None) == unread)
    if topic is not None:
        chosen = chosen.where(Message.topic == topic)
    statement = pagination.keyset(
        chosen,
        Message.id,
        after=page.after(tuple[UUID]),
        size=page.size,
        descending=True,
    )
    return (await session.scalars(statement)).all()


async def mark_read(
    session: WriteSession, resident_id: UUID, message_id: UUID, *, at: datetime
) -> bool:
    """Note when a message was read first. False if the resident has no such message."""
    marked = await session.execute(
        sa.update(Message)
        .where(Message.resident_id == resident_id, Message.id == message_id)
        .values(read_at=sa.func.coalesce(Message.read_at, at))
        .returning(Message.id)
    )
    return marked.first() is not None


async def mark_clicked(
    session: WriteSession, resident_id: UUID, message_id: UUID, *, at: datetime
) -> bool:
    """Note when a message was first followed to what it is about, and so read. As `mark_read`."""
    marked = await session.execute(
        sa.update(Message)
        .where(Message.resident_id == resident_id, Message.id == message_id)
        .values(
            read_at=sa.func.coalesce(Message.read_at, at),
            clicked_at=sa.func.coalesce(Message.clicked_at, at),
        )
        .returning(Message.id)
    )
    return marked.first() is not None


async def mark_all_read(session: WriteSession, resident_id: UUID, *, at: datetime) -> int:
    """Note of everything unread that it is read now; how many that were."""
    marked = (
        sa.update(Message)
        .where(Message.resident_id == resident_id, Message.read_at.is_(None))
        .values(read_at=at)
        .returning(Message.id)
        .cte("marked")
    )
    return await session.scalar(sa.select(sa.func.count()).select_from(marked)) or 0


async def unread(session: ReadSession, resident_id: UUID) -> int:
    """How many messages a resident has not read."""
    waiting = sa.select(sa.func.count()).where(
        Message.resident_id == resident_id, Message.read_at.is_(None)
    )
    return await session.scalar(waiting) or 0


async def add(session: WriteSession, messages: Sequence[Mapping[str, Any]]) -> None:
    """Write messages, one per resident and cause: what is there already stays as it is."""
    if messages:
        await session.execute(insert(Message).on_conflict_do_nothing(), messages)
