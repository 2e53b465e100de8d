"""Topics, and who does not want to hear of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common.database import ReadSession, WriteSession
from services.tagging_api.models import OptOut, Topic


async def topics(session: ReadSession) -> Sequence[Topic]:
    """Those with a name, by code."""
    return (await session.scalars(sa.select(Topic).order_by(Topic.code))).all()


async def mandatory(session: ReadSession, codes: Collection[str]) -> set[str]:
    """Which of the topics nobody can opt out of."""
    if not codes:
        return set()
    found = await session.scalars(
        sa.select(Topic.code).where(Topic.code.in_(codes), Topic.mandatory)
    )
    return set(found)


async def opted_out(session: ReadSession, resident_id: UUID) -> list[str]:
    """The topics that a resident does not want to hear of, in order."""
    found = await session.scalars(
        sa.select(OptOut.topic).where(OptOut.resident_id == resident_id).order_by(OptOut.topic)
    )
    return list(found)


async def replace_opted_out(
    session: WriteSession, resident_id: UUID, codes: Collection[str], *, at: datetime
) -> None:
    """Make these, and no others, the topics that a resident does not want to hear of."""
    mine = OptOut.resident_id == resident_id
    await session.execute(sa.delete(OptOut).where(mine, OptOut.topic.not_in(codes)))
    if codes:
        rows = [{"resident_id": resident_id, "topic": code, "created_at": at} for code in codes]
        await session.execute(insert(OptOut).on_conflict_do_nothing(), rows)
