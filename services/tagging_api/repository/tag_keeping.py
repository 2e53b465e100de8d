"""How far the keeper of tags is, and what it has to do next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa

from services.common import outbox
from services.common.database import ReadSession, WriteSession
from services.common.outbox import OUTBOX
from services.tagging_api.models import Tag, TagKeeper
from services.tagging_api.schemas.tags import RuleState


@dataclass(slots=True)
class Changes:
    """Residents that events name, up to a position: of all tags' concern, or only by one tag."""

    position: int
    missed: bool = False
    residents: set[UUID] = field(default_factory=set[UUID])
    bearers: dict[str, set[UUID]] = field(default_factory=dict[str, set[UUID]])


async def claim(session: WriteSession) -> TagKeeper | None:
    """Where the keeper is, locked until the end of the transaction; None if another one keeps."""
    return await session.scalar(sa.select(TagKeeper).with_for_update(skip_locked=True))


async def kept(session: WriteSession) -> Sequence[Tag]:
    """Tags that rules give or have given, archived ones left out."""
    of_rules = sa.select(Tag).where(Tag.rule_state.is_not(None), Tag.archived.is_(False))
    return (await session.scalars(of_rules.order_by(Tag.code))).all()


async def locked(session: WriteSession, code: str) -> Tag:
    """The tag, read again, which nobody redefines until the end of the transaction."""
    return (
        await session.scalars(
            sa.select(Tag)
            .where(Tag.code == code)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def changes(
    session: ReadSession,
    *,
    after: int,
    of_residents: str,
    of_assignments: str,
    asked: Collection[str],
    at_most: int,
) -> Changes:
    """Whom the events after a position name: those of residents, and those of tags that are asked for.

    Up to `at_most` events. `missed` if some of them are purged already.
    """
    head, purged = await outbox.head(session)
    if after < purged:
        return Changes(head.position, missed=True)
    if after == head.position:
        return Changes(after)
    tag = OUTBOX.c.data["tag"].astext
    found = (
        await session.execute(
            sa.select(OUTBOX.c.position, OUTBOX.c.type, OUTBOX.c.data)
            .where(
                OUTBOX.c.position > after,
                OUTBOX.c.position <= head.position,
                sa.or_(
                    OUTBOX.c.type == of_residents,
                    sa.and_(OUTBOX.c.type == of_assignments, tag.in_(sorted(asked))),
                ),
            )
            .order_by(OUTBOX.c.position)
            .limit(at_most)
        )
    ).all()
    read = Changes(found[-1].position if len(found) == at_most else head.position)
    for event in found:
        ids = map(UUID, event.data["resident_ids"])
        if event.type == of_residents:
            read.residents.update(ids)
        else:
            read.bearers.setdefault(event.data["tag"], set()).update(ids)
    return read


async def evaluate_everybody(session: WriteSession) -> None:
    """Let all rules begin anew: some change was missed."""
    await session.execute(
        sa.update(Tag)
        .where(Tag.rule.is_not(None), Tag.rule_state.is_not(None))
        .values(rule_state=RuleState.COMPUTING, rule_after=None, rule_done=0, rule_total=None)
    )
