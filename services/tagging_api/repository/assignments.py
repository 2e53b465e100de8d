"""Who bears which tag, by whose word and for how long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from services.common import pagination
from services.common.areas import Area
from services.common.clock import SHANGHAI
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Resident, Tag, TagAssignment
from services.tagging_api.repository.audiences import looked_after
from services.tagging_api.repository.comparisons import valid
from services.tagging_api.schemas.tags import AssignmentSource

Pair = tuple[str, UUID]

# Whoever takes a tag off by hand takes back what people, ledgers and surveys said. A rule says so
# again as long as it holds.
NOT_RULES = frozenset(AssignmentSource) - {AssignmentSource.RULE}

# In the order of the primary key: two that overlap then wait for each other and never deadlock.
_ASSIGN = sa.text("""
INSERT INTO tag_assignment AS a (
    resident_id, tag_code, source, assigned_by, created_at, valid_from, valid_until, note
)
SELECT s.resident_id, s.tag_code, :source, :assigned_by, :at, :valid_from, :valid_until, :note
FROM unnest(CAST(:resident_ids AS uuid[]), CAST(:tag_codes AS text[])) AS s (resident_id, tag_code)
ORDER BY s.resident_id, s.tag_code
ON CONFLICT (resident_id, tag_code, source) DO UPDATE SET
    assigned_by = excluded.assigned_by,
    created_at = CASE WHEN a.valid_until <= :today THEN excluded.created_at ELSE a.created_at END,
    valid_from = excluded.valid_from, valid_until = excluded.valid_until, note = excluded.note
WHERE a.valid_until <= :today OR (
    :terms_are_given AND (a.valid_from, a.valid_until, a.note)
        IS DISTINCT FROM (excluded.valid_from, excluded.valid_until, excluded.note)
)
RETURNING a.tag_code, a.resident_id
""").bindparams(
    sa.bindparam("source", type_=sa.Text),
    sa.bindparam("assigned_by", type_=sa.Text),
    sa.bindparam("at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("valid_from", type_=sa.Date),
    sa.bindparam("valid_until", type_=sa.Date),
    sa.bindparam("note", type_=sa.Text),
    sa.bindparam("today", type_=sa.Date),
    sa.bindparam("terms_are_given", type_=sa.Boolean),
    sa.bindparam("resident_ids", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("tag_codes", type_=sa.ARRAY(sa.Text)),
)

_BORNE = sa.text("""
SELECT DISTINCT s.tag_code, s.resident_id
FROM unnest(CAST(:resident_ids AS uuid[]), CAST(:tag_codes AS text[])) AS s (resident_id, tag_code)
JOIN tag_assignment a ON a.resident_id = s.resident_id AND a.tag_code = s.tag_code
WHERE (a.valid_from IS NULL OR a.valid_from <= :today)
    AND (a.valid_until IS NULL OR a.valid_until > :today)
""").bindparams(
    sa.bindparam("today", type_=sa.Date),
    sa.bindparam("resident_ids", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("tag_codes", type_=sa.ARRAY(sa.Text)),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long a tag is given, and why. Without a first day from now on, without an end for ever."""

    valid_from: date | None = None
    valid_until: date | None = None
    note: str | None = field(default=None, repr=False)


async def visible(
    session: ReadSession, resident_ids: Sequence[UUID], *, areas: Sequence[Area], on: date
) -> set[UUID]:
    """Those of the residents whom the areas look after."""
    found = await session.scalars(
        sa.select(Resident.id).where(
            Resident.id.in_(resident_ids), looked_after(Resident.id, areas, on)
        )
    )
    return set(found.all())


async def assign(
    session: WriteSession,
    pairs: Sequence[Pair],
    *,
    source: AssignmentSource,
    assigned_by: str | None,
    at: datetime,
    terms: Terms | None = None,
) -> Sequence[Pair]:
    """Let a source give tags to residents; the pairs of tag and resident that are news.

    `pairs` are distinct. What the source gave before, and is over, begins anew. What is not over
    stays as it is without `terms`, and gets these if they are other ones.
    """
    given = terms or Terms()
    found = await session.execute(
        _ASSIGN,
        {
            "source": source,
            "assigned_by": assigned_by,
            "at": at,
            "valid_from": given.valid_from,
            "valid_until": given.valid_until,
            "note": given.note,
            "today": at.astimezone(SHANGHAI).date(),
            "terms_are_given": terms is not None,
            **_unzipped(pairs),
        },
    )
    return [(row.tag_code, row.resident_id) for row in found]


async def remove(
    session: WriteSession,
    tag: str,
    resident_ids: Sequence[UUID],
    *,
    sources: Iterable[AssignmentSource] = NOT_RULES,
) -> Sequence[Pair]:
    """Take back what sources said; the pairs of tag and resident, each once, of whom they had."""
    said_by = sorted(sources)
    # In the order of the primary key, as above.
    locked = (
        sa.select(TagAssignment.resident_id)
        .where(
            TagAssignment.tag_code == tag,
            TagAssignment.resident_id.in_(resident_ids),
            TagAssignment.source.in_(said_by),
        )
        .order_by(TagAssignment.resident_id, TagAssignment.source)
        .with_for_update()
    )
    ids = (await session.scalars(locked)).all()
    ended = await session.execute(
        sa.delete(TagAssignment)
        .where(
            TagAssignment.tag_code == tag,
            TagAssignment.resident_id.in_(set(ids)),
            TagAssignment.source.in_(said_by),
        )
        .returning(TagAssignment.resident_id)
    )
    return sorted({(tag, row.resident_id) for row in ended})


async def borne(session: ReadSession, pairs: Iterable[Pair], *, on: date) -> set[Pair]:
    """Those of the pairs of tag and resident that hold on a day, whoever says so."""
    asked = sorted(pairs)
    found = await session.execute(_BORNE, {"today": on, **_unzipped(asked)})
    return {(row.tag_code, row.resident_id) for row in found}


async def turning(session: ReadSession, *, after: date, until: date) -> list[Pair]:
    """Pairs of tag and resident whose period begins or ends after a day, up to another."""
    begins, ends = TagAssignment.valid_from, TagAssignment.valid_until
    found = await session.execute(
        sa.select(TagAssignment.tag_code, TagAssignment.resident_id)
        .where(
            sa.or_(
                sa.and_(begins > after, begins <= until),
                sa.and_(ends > after, ends <= until),
            )
        )
        .distinct()
    )
    return [(row.tag_code, row.resident_id) for row in found]


async def page(
    session: ReadSession,
    *,
    tag: str | None,
    resident_id: UUID | None,
    ended_too: bool,
    shown: ColumnElement[bool],
    within: Sequence[Area],
    on: date,
    page: PageRequest,
) -> Sequence[TagAssignment]:
    """Assignments of residents whom the areas look after, of tags that are `shown` (over `tag`)."""
    statement = sa.select(TagAssignment).where(
        looked_after(TagAssignment.resident_id, within, on),
        TagAssignment.tag_code.in_(sa.select(Tag.code).where(shown)),
    )
    if not ended_too:
        ends = TagAssignment.valid_until
        statement = statement.where(sa.or_(ends.is_(None), ends > on))
    if tag is not None:
        statement = statement.where(TagAssignment.tag_code == tag)
    if resident_id is not None:
        statement = statement.where(TagAssignment.resident_id == resident_id)
    statement = pagination.keyset(
        statement,
        TagAssignment.resident_id,
        TagAssignment.tag_code,
        TagAssignment.source,
        after=page.after(tuple[UUID, str, str]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def after(session: ReadSession, last: Pair | None, *, on: date, limit: int) -> Sequence[Pair]:
    """All pairs of tag and resident that hold on a day, in that order, a stretch at a time."""
    keys = (TagAssignment.tag_code, TagAssignment.resident_id)
    statement = (
        sa.select(*keys)
        .where(valid(TagAssignment.valid_from, TagAssignment.valid_until, on))
        .distinct()
        .order_by(*keys)
        .limit(limit)
    )
    if last is not None:
        statement = statement.where(sa.tuple_(*keys) > last)
    return [(row.tag_code, row.resident_id) for row in await session.execute(statement)]


def _unzipped(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        "resident_ids": [resident_id for _, resident_id in pairs],
        "tag_codes": [tag for tag, _ in pairs],
    }
