"""History: what is, what changed since, and so what was."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select, text

from services.common.database import ReadSession
from services.residents_api.domain import history
from services.residents_api.domain.history import Change, Rows
from services.residents_api.models import (
    Base,
    Dwelling,
    Guardian,
    History,
    HistoryAct,
    IdentityDocument,
    Occupancy,
    Phone,
    Resident,
)

Model = TypeVar("Model", bound=Base)

# Whose history a row belongs to, and which of their rows it is: as the triggers have it.
_ROWS: Mapping[type[Base], tuple[str, str]] = {
    Resident: ("id", "''"),
    Dwelling: ("id", "''"),
    Occupancy: ("resident_id", "CAST(t.id AS text)"),
    IdentityDocument: ("resident_id", "encode(t.blind_index, 'hex')"),
    Phone: ("resident_id", "encode(t.blind_index, 'hex')"),
    Guardian: ("resident_id", "CAST(t.id AS text)"),
}
# A resident's history is that of all their rows.
OF_RESIDENT = (Resident, IdentityDocument, Phone, Guardian, Occupancy)


async def present(
    session: ReadSession, models: Iterable[type[Base]], subject_ids: Sequence[UUID]
) -> Rows:
    """What is now, as the triggers would have kept it."""
    rows: Rows = {}
    for model in models:
        subject, key = _ROWS[model]
        statement = text(
            f"SELECT t.{subject} AS subject_id, {key} AS key, to_jsonb(t) AS said"
            f" FROM {model.__tablename__} t WHERE t.{subject} = ANY(CAST(:ids AS uuid[]))"
        )
        for row in await session.execute(statement, {"ids": list(subject_ids)}):
            rows[row.subject_id, model.__tablename__, row.key] = row.said
    return rows


async def changes(
    session: ReadSession,
    subject_ids: Sequence[UUID],
    models: Iterable[type[Base]],
    *,
    key: str | None = None,
    since: datetime | None = None,
) -> list[Change]:
    """Newest first; `since` with those of that instant."""
    statement = (
        select(History, HistoryAct)
        .join(HistoryAct, HistoryAct.id == History.act_id)
        .where(
            History.subject_id.in_(subject_ids),
            History.entity.in_([model.__tablename__ for model in models]),
        )
        .order_by(History.id.desc())
    )
    if key is not None:
        statement = statement.where(History.key == key)
    if since is not None:
        statement = statement.where(HistoryAct.at >= since)
    return [_change(row, act) for row, act in await session.execute(statement)]


def _change(row: History, act: HistoryAct) -> Change:
    old = dict(row.old or {})
    if row.sealed is not None:
        old["contact" if row.entity == Guardian.__tablename__ else "number"] = _hex(row.sealed)
    return Change(
        row.id, row.subject_id, row.entity, row.key, row.op, act.at, act.actor, act.source, old
    )


async def as_of(
    session: ReadSession, model: type[Model], subject_ids: Sequence[UUID], *, until: datetime
) -> list[Model]:
    """Rows as they were just before an instant; they belong to no session.

    What is now is read first: a change that comes between the two is undone, or not there yet.
    """
    rows = await present(session, [model], subject_ids)
    since = await changes(session, subject_ids, [model], since=until)
    return [_revived(model, values) for values in history.undo(rows, since).values()]


async def who_left(session: ReadSession, dwelling_id: UUID) -> Sequence[UUID]:
    """Residents with an occupancy of the dwelling that is gone, or another dwelling's by now."""
    statement = (
        select(History.subject_id)
        .where(
            History.entity == Occupancy.__tablename__,
            History.old.is_not(None),
            text("old ->> 'dwelling_id' = :dwelling_id").bindparams(dwelling_id=str(dwelling_id)),
        )
        .distinct()
    )
    return (await session.scalars(statement)).all()


async def deleted(session: ReadSession, model: type[Model], key: str) -> Model | None:
    """The row that once had this key, as it was when it was deleted last."""
    statement = (
        select(History)
        .where(
            History.entity == model.__tablename__,
            History.key == key,
            History.op == history.DELETED,
            History.old.is_not(None),
        )
        .order_by(History.id.desc())
        .limit(1)
    )
    row = await session.scalar(statement)
    return _revived(model, row.old) if row is not None and row.old is not None else None


async def deleted_dwelling(session: ReadSession, dwelling_id: UUID) -> Dwelling | None:
    statement = (
        select(History)
        .where(
            History.subject_id == dwelling_id,
            History.entity == Dwelling.__tablename__,
            History.op == history.DELETED,
            History.old.is_not(None),
        )
        .order_by(History.id.desc())
        .limit(1)
    )
    row = await session.scalar(statement)
    return _revived(Dwelling, row.old) if row is not None and row.old is not None else None


def _revived(model: type[Model], said: Mapping[str, Any]) -> Model:
    """A row from what JSON says of it. Columns that came later have nothing to say."""
    columns = sa.inspect(model).columns
    return model(**{c.key: _typed(c.type, said[c.key]) for c in columns if c.key in said})


def _typed(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match kind:
        case sa.Uuid():
            return UUID(value)
        case sa.DateTime():
            return datetime.fromisoformat(value)
        case sa.Date():
            return date.fromisoformat(value)
        case sa.LargeBinary():
            return from_hex(value)
        case _:
            return value


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


def from_hex(text: str) -> bytes:
    """Bytes as JSON of PostgreSQL has them."""
    return bytes.fromhex(text.removeprefix("\\x"))
