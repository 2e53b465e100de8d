"""Whom rules of tags find, kept as assignments of source `rule`, and the log of who came and went.

Only some residents are evaluated at a time: those who have changed, those for whom the day may have
changed something, or the next batch of everybody. The rule is evaluated by SQL, for the whole city.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import aliased

from services.common import pagination
from services.common.areas import Area
from services.common.clock import SHANGHAI
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.domain.crossings import Crossings, Stretch
from services.tagging_api.domain.rules import Rule
from services.tagging_api.models import (
    Resident,
    ResidentPlace,
    TagAssignment,
    TagMembershipEvent,
)
from services.tagging_api.repository import audiences
from services.tagging_api.repository.residents import DEPARTED
from services.tagging_api.schemas.tags import AssignmentSource

Ids = sa.Select[UUID]

_NOTE = sa.text("""
INSERT INTO tag_membership_event (resident_id, tag_code, n, id, kind, cause, day, at)
SELECT s.resident_id, :tag, s.n, s.id, s.kind, :cause, :day, :at
FROM unnest(
    CAST(:resident_ids AS uuid[]), CAST(:numbers AS integer[]), CAST(:ids AS uuid[]),
    CAST(:kinds AS text[])
) AS s (resident_id, n, id, kind)
""").bindparams(
    sa.bindparam("tag", type_=sa.Text),
    sa.bindparam("cause", type_=sa.Text),
    sa.bindparam("day", type_=sa.Date),
    sa.bindparam("at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("resident_ids", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("numbers", type_=sa.ARRAY(sa.Integer)),
    sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("kinds", type_=sa.ARRAY(sa.Text)),
)


@dataclass(frozen=True, slots=True)
class Noted:
    """One line of the log, before it is written."""

    resident_id: UUID
    n: int
    id: UUID
    kind: str


def these(resident_ids: Iterable[UUID]) -> Ids:
    """Residents by id."""
    ids = sa.literal(sorted(resident_ids), ARRAY(sa.Uuid))
    return sa.select(sa.func.unnest(ids, type_=sa.Uuid).label("id"))


def stretch_of_ids(after: UUID | None, until: UUID | None) -> Ids:
    """All residents above an id, up to another; None for no bound."""
    found = sa.select(Resident.id)
    if after is not None:
        found = found.where(Resident.id > after)
    return found.where(Resident.id <= until) if until is not None else found


def crossing(crossings: Crossings, *, after: date, until: date) -> Ids:
    """Whoever the rule may find on one of two days only, though nothing was changed.

    Whoever moves in or out between them and who lives there, and those for whom a day that the rule
    asks for lies between.
    """
    place, other = ResidentPlace, aliased(ResidentPlace)
    starts, ends = place.start_date, place.end_date
    turning = (
        sa.select(place.resident_id, place.dwelling_id)
        .where(
            sa.or_(sa.and_(starts > after, starts <= until), sa.and_(ends > after, ends <= until))
        )
        .cte("turning")
    )
    found: list[Any] = [
        sa.select(turning.c.resident_id.label("id")),
        sa.select(other.resident_id).join(turning, turning.c.dwelling_id == other.dwelling_id),
    ]
    if crossings.births:
        found.append(sa.select(Resident.id).where(_within(Resident.birth_date, crossings.births)))
    if crossings.leases:
        lease_end = place.lease_end_date
        found.append(sa.select(place.resident_id).where(_within(lease_end, crossings.leases)))
    if crossings.tags:
        begins, over = TagAssignment.valid_from, TagAssignment.valid_until
        period = sa.or_(
            sa.and_(begins > after, begins <= until), sa.and_(over > after, over <= until)
        )
        asked = TagAssignment.tag_code.in_(sorted(crossings.tags))
        found.append(sa.select(TagAssignment.resident_id).where(asked, period))
    for code, days in crossings.given.items():
        given = sa.or_(
            *(
                sa.and_(
                    TagAssignment.created_at >= _ends(each.after),
                    TagAssignment.created_at < _ends(each.until),
                )
                for each in days
            )
        )
        found.append(
            sa.select(TagAssignment.resident_id).where(TagAssignment.tag_code == code, given)
        )
    union = sa.union(*found).subquery("crossing")
    return sa.select(union.c.id)


def _within(day: SQLColumnExpression[Any], stretches: Sequence[Stretch]) -> ColumnElement[bool]:
    return sa.or_(*(sa.and_(day > each.after, day <= each.until) for each in stretches))


def _ends(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI)


async def settle(
    session: WriteSession, tag: str, rule: Rule | None, those: Ids, *, on: date, at: datetime
) -> tuple[list[UUID], list[UUID]]:
    """Let `those` bear the tag by its rule exactly if that finds them on a day.

    Who came under it, and who left. Without a rule, nobody is found. One statement.
    """
    some = those.cte("those")
    found = sa.false() if rule is None else audiences.belongs(rule, None, on)
    wanted = (
        sa.select(Resident.id).where(Resident.id.in_(sa.select(some.c.id)), found).cte("wanted")
    )
    source = AssignmentSource.RULE.value
    names = ("resident_id", "tag_code", "source", "created_at")
    rows = sa.select(
        wanted.c.id,
        sa.literal(tag, sa.Text),
        sa.literal(source, sa.Text),
        sa.literal(at, sa.DateTime(timezone=True)),
    ).order_by(wanted.c.id)
    entered = (
        insert(TagAssignment)
        .from_select(names, rows)
        .on_conflict_do_nothing()
        .returning(TagAssignment.resident_id)
        .cte("entered")
    )
    left = (
        sa.delete(TagAssignment)
        .where(
            TagAssignment.tag_code == tag,
            TagAssignment.source == source,
            TagAssignment.resident_id.in_(sa.select(some.c.id)),
            TagAssignment.resident_id.not_in(sa.select(wanted.c.id)),
        )
        .returning(TagAssignment.resident_id)
        .cte("left_it")
    )
    both = sa.union_all(
        sa.select(sa.true().label("has_entered"), entered.c.resident_id),
        sa.select(sa.false(), left.c.resident_id),
    )
    moved = (await session.execute(both)).all()
    return (
        sorted(row.resident_id for row in moved if row.has_entered),
        sorted(row.resident_id for row in moved if not row.has_entered),
    )


async def forget_departed(session: WriteSession, left: Sequence[UUID]) -> None:
    """Empty the log of those who were erased or merged while their rules were evaluated."""
    gone = sa.select(Resident.id).where(
        Resident.id == sa.any_(sa.literal(list(left), ARRAY(sa.Uuid))),
        Resident.state.in_(sorted(DEPARTED)),
    )
    await session.execute(
        sa.delete(TagMembershipEvent).where(TagMembershipEvent.resident_id.in_(gone))
    )


async def last_numbers(
    session: ReadSession, tag: str, resident_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """How often these have come and gone so far; those who never did are left out."""
    event = TagMembershipEvent
    found = await session.execute(
        sa.select(event.resident_id, sa.func.max(event.n).label("n"))
        .where(
            event.tag_code == tag,
            event.resident_id == sa.any_(sa.literal(list(resident_ids), ARRAY(sa.Uuid))),
        )
        .group_by(event.resident_id)
    )
    return {row.resident_id: row.n for row in found}


async def note(
    session: WriteSession, tag: str, noted: Sequence[Noted], *, cause: str, day: date, at: datetime
) -> None:
    """Write who came under the rule of a tag and who left it into the log."""
    await session.execute(
        _NOTE,
        {
            "tag": tag,
            "cause": cause,
            "day": day,
            "at": at,
            "resident_ids": [each.resident_id for each in noted],
            "numbers": [each.n for each in noted],
            "ids": [each.id for each in noted],
            "kinds": [each.kind for each in noted],
        },
    )


async def page(
    session: ReadSession,
    tag: str,
    *,
    since: datetime | None,
    within: Sequence[Area],
    on: date,
    page: PageRequest,
) -> Sequence[TagMembershipEvent]:
    """The log of a tag in its order, of residents whom the areas' workers look after."""
    event = TagMembershipEvent
    here = audiences.looked_after(event.resident_id, within, on)
    statement = sa.select(event).where(event.tag_code == tag, here)
    if since is not None:
        statement = statement.where(event.at >= since)
    statement = pagination.keyset(
        statement,
        event.at,
        event.resident_id,
        event.n,
        after=page.after(tuple[datetime, UUID, int]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def nth_after(session: ReadSession, after: UUID | None, *, n: int) -> UUID | None:
    """The `n`th resident above an id, in the order of ids; None if there are not so many."""
    last = sa.select(Resident.id).order_by(Resident.id).offset(n - 1).limit(1)
    return await session.scalar(last.where(Resident.id > after) if after is not None else last)


async def everybody(session: ReadSession) -> int:
    """How many residents there are, those who have left included."""
    return await session.scalar(sa.select(sa.func.count()).select_from(Resident)) or 0
