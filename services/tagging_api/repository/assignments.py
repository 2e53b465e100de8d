"""Who bears which tag."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.pagination import PageRequest
from services.tagging_api.models import Resident, Tag, TagAssignment
from services.tagging_api.repository.audiences import at_home
from services.tagging_api.schemas.tags import AssignmentSource, Sensitivity

# In the order of the primary key: two that overlap then wait for each other and never deadlock.
_ASSIGN = sa.text("""
INSERT INTO tag_assignment (resident_id, tag_code, source, assigned_by, created_at)
SELECT s.resident_id, s.tag_code, :source, :assigned_by, :at
FROM unnest(CAST(:resident_ids AS uuid[]), CAST(:tag_codes AS text[])) AS s (resident_id, tag_code)
ORDER BY s.resident_id, s.tag_code
ON CONFLICT DO NOTHING
RETURNING tag_code, resident_id
""").bindparams(
    sa.bindparam("source", type_=sa.Text),
    sa.bindparam("assigned_by", type_=sa.Text),
    sa.bindparam("at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("resident_ids", type_=sa.ARRAY(sa.Uuid)),
    sa.bindparam("tag_codes", type_=sa.ARRAY(sa.Text)),
)


async def visible(
    session: ReadSession, resident_ids: Sequence[UUID], *, areas: Sequence[Area], on: date
) -> set[UUID]:
    """Those of the residents who live in the areas."""
    found = await session.scalars(
        sa.select(Resident.id).where(Resident.id.in_(resident_ids), at_home(Resident.id, areas, on))
    )
    return set(found.all())


async def assign(
    session: WriteSession,
    pairs: Sequence[tuple[str, UUID]],
    *,
    source: AssignmentSource,
    assigned_by: str | None,
    at: datetime,
) -> Sequence[tuple[str, UUID]]:
    """Give tags to residents; the pairs of tag and resident that are new."""
    found = await session.execute(
        _ASSIGN,
        {
            "source": source,
            "assigned_by": assigned_by,
            "at": at,
            "resident_ids": [resident_id for _, resident_id in pairs],
            "tag_codes": [tag for tag, _ in pairs],
        },
    )
    return [(row.tag_code, row.resident_id) for row in found]


async def remove(
    session: WriteSession, tag: str, resident_ids: Sequence[UUID]
) -> Sequence[tuple[str, UUID]]:
    """Take a tag off residents; the pairs of tag and resident that ended."""
    mine = TagAssignment.tag_code == tag, TagAssignment.resident_id.in_(resident_ids)
    # In the order of the primary key, as above.
    locked = (
        sa.select(TagAssignment.resident_id)
        .where(*mine)
        .order_by(TagAssignment.resident_id)
        .with_for_update()
    )
    ids = (await session.scalars(locked)).all()
    ended = await session.execute(
        sa.delete(TagAssignment)
        .where(TagAssignment.tag_code == tag, TagAssignment.resident_id.in_(ids))
        .returning(TagAssignment.resident_id)
    )
    return [(tag, row.resident_id) for row in ended]


async def page(
    session: ReadSession,
    *,
    tag: str | None,
    resident_id: UUID | None,
    highest_too: bool,
    within: Sequence[Area],
    on: date,
    page: PageRequest,
) -> Sequence[TagAssignment]:
    """Assignments of residents who live in the areas."""
    statement = sa.select(TagAssignment).where(at_home(TagAssignment.resident_id, within, on))
    if tag is not None:
        statement = statement.where(TagAssignment.tag_code == tag)
    if resident_id is not None:
        statement = statement.where(TagAssignment.resident_id == resident_id)
    if not highest_too:
        shown = sa.select(Tag.code).where(Tag.sensitivity != Sensitivity.HIGHEST)
        statement = statement.where(TagAssignment.tag_code.in_(shown))
    statement = pagination.keyset(
        statement,
        TagAssignment.resident_id,
        TagAssignment.tag_code,
        after=page.after(tuple[UUID, str]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def after(
    session: ReadSession, last: tuple[str, UUID] | None, *, limit: int
) -> Sequence[tuple[str, UUID]]:
    """All pairs of tag and resident in that order, a stretch at a time: for the snapshot."""
    keys = (TagAssignment.tag_code, TagAssignment.resident_id)
    statement = sa.select(*keys).order_by(*keys).limit(limit)
    if last is not None:
        statement = statement.where(sa.tuple_(*keys) > last)
    return [(row.tag_code, row.resident_id) for row in await session.execute(statement)]
