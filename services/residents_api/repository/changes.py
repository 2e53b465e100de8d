"""Change requests, and what has changed since they were written."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Row, select, text

from services.common import pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.domain.identity_documents import DocumentKind
from services.residents_api.models import ChangeRequest, IdentityDocument, Phone, Resident
from services.residents_api.repository import people

# Every act that gave the resident a version after the one that was read, and all it did to them.
_SINCE = text("""
SELECT r.id, CAST(v.old ->> 'version' AS int) AS version, h.entity, h.op, h.key, h.old
  FROM json_to_recordset(CAST(:read AS json)) AS r (id uuid, resident_id uuid, version int)
  JOIN history v ON v.subject_id = r.resident_id AND v.entity = 'resident' AND v.op = 'changed'
       AND CAST(v.old ->> 'version' AS int) >= r.version
  JOIN history h ON h.subject_id = v.subject_id AND h.act_id = v.act_id
""")


@dataclass(slots=True)
class Since:
    """What has changed of a resident: fields, and whether the history goes back far enough."""

    fields: set[str] = field(default_factory=set[str])
    versions: set[int] = field(default_factory=set[int])
    # Keys of documents that came since.
    cards: set[str] = field(default_factory=set[str])


async def changed_since(session: ReadSession, read: str) -> Mapping[UUID, Since]:
    """By request, from a JSON list of id, resident_id and version."""
    found: dict[UUID, Since] = defaultdict(Since)
    for row in await session.execute(_SINCE, {"read": read}):
        since = found[row.id]
        since.versions.add(row.version)
        old: dict[str, Any] = row.old or {}
        if row.entity == Resident.__tablename__:
            since.fields |= old.keys()
        elif row.entity == Phone.__tablename__:
            since.fields.add("phones")
        elif row.entity == IdentityDocument.__tablename__:
            if row.op == "created":
                since.cards.add(row.key)
            elif row.op == "deleted" and old.get("kind") == DocumentKind.RESIDENT_ID_CARD:
                since.fields.add("id_number")
            elif "status" in old:
                since.cards.add(row.key)
    return found


async def locked(session: ReadSession, request_id: UUID) -> ChangeRequest | None:
    """A request, locked: after its resident, whose row comes first (`locate`)."""
    statement = select(ChangeRequest).where(ChangeRequest.id == request_id)
    statement = statement.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(statement)


async def seen(
    session: ReadSession, request_id: UUID, *, within: Sequence[Area], on: date
) -> Row[ChangeRequest, Resident] | None:
    """A request about a resident within the areas."""
    statement = (
        select(ChangeRequest, Resident)
        .join(Resident, Resident.id == ChangeRequest.resident_id)
        .where(ChangeRequest.id == request_id, people.visible(within, on=on))
    )
    return (await session.execute(statement)).one_or_none()


async def worklist(
    session: ReadSession,
    *,
    within: Sequence[Area],
    state: str,
    on: date,
    page: PageRequest,
) -> tuple[Sequence[Row[ChangeRequest, Resident]], str | None]:
    """Requests about residents within the areas, oldest first."""
    return await _listed(
        session, sa.and_(ChangeRequest.state == state, people.visible(within, on=on)), page=page
    )


async def of_resident(
    session: ReadSession, resident_id: UUID, *, requested_by: str | None, page: PageRequest
) -> tuple[Sequence[Row[ChangeRequest, Resident]], str | None]:
    """Requests about one resident, or those of them that somebody wrote."""
    whose = ChangeRequest.resident_id == resident_id
    if requested_by is not None:
        whose = sa.and_(whose, ChangeRequest.requested_by == requested_by)
    return await _listed(session, whose, page=page)


async def _listed(
    session: ReadSession, where: ColumnElement[bool], *, page: PageRequest
) -> tuple[Sequence[Row[ChangeRequest, Resident]], str | None]:
    statement = pagination.keyset(
        select(ChangeRequest, Resident)
        .join(Resident, Resident.id == ChangeRequest.resident_id)
        .where(where),
        ChangeRequest.id,
        after=page.after(tuple[UUID]),
        size=page.size,
    )
    rows = (await session.execute(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row[0].id,))


async def pending_fields(session: ReadSession, resident_id: UUID, *, requested_by: str) -> set[str]:
    """Fields that somebody has asked to change already, and that wait."""
    statement = select(ChangeRequest).where(
        ChangeRequest.resident_id == resident_id,
        ChangeRequest.requested_by == requested_by,
        ChangeRequest.state == "pending",
    )
    rows = await session.scalars(statement)
    return {name for row in rows for name in row.fields if name not in row.applied}
