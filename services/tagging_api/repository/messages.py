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


async def page(session: ReadSession, resident_id: UUID, *, page: PageRequest) -> Sequence[Message]:
    """A resident's messages, newest first."""
    statement = pagination.keyset(
        sa.select(Message).where(Message.resident_id == resident_id),
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


async def add(session: WriteSession, messages: Sequence[Mapping[str, Any]]) -> None:
    """Write messages, one per resident and cause: what is there already stays as it is."""
    if messages:
        await session.execute(insert(Message).on_conflict_do_nothing(), messages)
