"""History as it may be shown: masked as the present row is."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from services.common import pagination
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.domain import history, identity_documents, names, phones
from services.residents_api.domain.history import Change, Rows, Step, Values
from services.residents_api.domain.identity_documents import DocumentKind
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.models import (
    Base,
    Dwelling,
    Guardian,
    IdentityDocument,
    Occupancy,
    Phone,
    Resident,
)
from services.residents_api.repository import history as repository
from services.residents_api.schemas.history import HistoryPage, HistoryRead, Value
from services.residents_api.schemas.people import ResidentRead

# Of a value that the present row does not show either, that it changed.
HIDDEN = "***"

# What names the row, and not what it says.
_KEYS = {"id", "resident_id", "blind_index"}
# Nothing of a dwelling or an occupancy is anybody's secret.
_SHOWN: Mapping[str, frozenset[str]] = {
    Resident.__tablename__: frozenset(ResidentRead.model_fields)
    | {"keeper_compound_id", "merged_into", "state"},
    Dwelling.__tablename__: frozenset(column.key for column in Dwelling.__table__.columns),
    Occupancy.__tablename__: frozenset(column.key for column in Occupancy.__table__.columns),
    IdentityDocument.__tablename__: frozenset({"kind", "status", "issuing_country"}),
    Guardian.__tablename__: frozenset({"guardian_id", "relation"}),
}
# Their numbers have a name of their own among the fields of a resident.
_NUMBERS = {IdentityDocument.__tablename__: "id_number", Phone.__tablename__: "phones"}


async def of_resident(
    session: ReadSession, sealer: Sealer, resident_id: UUID, *, page: PageRequest
) -> HistoryPage:
    rows = await repository.present(session, repository.OF_RESIDENT, [resident_id])
    changes = await repository.changes(session, [resident_id], repository.OF_RESIDENT)
    return _paged(_entries(rows, changes, sealer), page)


async def of_dwelling(
    session: ReadSession, sealer: Sealer, dwelling_id: UUID, *, page: PageRequest
) -> HistoryPage:
    return await _of(session, sealer, Dwelling, dwelling_id, key="", page=page)


async def of_occupancy(
    session: ReadSession, sealer: Sealer, occupancy: Occupancy, *, page: PageRequest
) -> HistoryPage:
    return await _of(
        session, sealer, Occupancy, occupancy.resident_id, key=str(occupancy.id), page=page
    )


async def _of(
    session: ReadSession,
    sealer: Sealer,
    model: type[Base],
    subject_id: UUID,
    *,
    key: str,
    page: PageRequest,
) -> HistoryPage:
    rows = await repository.present(session, [model], [subject_id])
    changes = await repository.changes(session, [subject_id], [model], key=key)
    return _paged(_entries(rows, changes, sealer), page)


# An entry, and what its place in the list goes by: the change, and which of its fields.
_Entry = tuple[int, int, HistoryRead]


def _paged(entries: Iterator[_Entry], page: PageRequest) -> HistoryPage:
    # What a field changed to is known from the changes after it: all are read, whichever page.
    after = page.after(tuple[int, int])
    found = [e for e in entries if after is None or (-e[0], e[1]) > (-after[0], after[1])]
    shown, token = pagination.cut(found[: page.size + 1], page, keys=lambda entry: entry[:2])
    return HistoryPage(items=[entry[2] for entry in shown], next_page_token=token)


def _entries(rows: Rows, changes: list[Change], sealer: Sealer) -> Iterator[_Entry]:
    for step in history.steps(rows, changes):
        for n, (field, before, after) in enumerate(_told(step, sealer)):
            change = step.change
            yield (
                change.id,
                n,
                HistoryRead.model_validate(
                    {
                        "at": change.at,
                        "actor": change.actor,
                        "source": change.source,
                        "entity": change.entity,
                        "row_id": change.key if change.entity == Occupancy.__tablename__ else None,
                        "op": change.op,
                        "field": field,
                        "from": before,
                        "to": after,
                    }
                ),
            )


def _told(step: Step, sealer: Sealer) -> Iterator[tuple[str | None, Value, Value]]:
    entity = step.change.entity
    fields = [name for name in step.fields if name not in _KEYS]
    if entity in _NUMBERS and step.change.op != history.CHANGED:
        yield (
            _field(entity, step.before or step.after),
            _number(step.before, entity, sealer),
            _number(step.after, entity, sealer),
        )
        return
    if not fields and step.change.op != history.CHANGED:
        yield None, None, None
    for field in fields:
        yield field, _value(entity, field, step.before), _value(entity, field, step.after)


def _value(entity: str, field: str, values: Values) -> Value:
    value: Any = values.get(field)
    if value is None:
        return None
    if field not in _SHOWN.get(entity, ()):
        return HIDDEN
    if field == "name" and entity == Resident.__tablename__:
        return names.mask(value)
    return value if isinstance(value, str | int | float | bool) else HIDDEN


def _number(values: Values, entity: str, sealer: Sealer) -> str | None:
    if "number" not in values:
        return None
    index = repository.from_hex(values["blind_index"])
    sealed = repository.from_hex(values["number"])
    if entity == Phone.__tablename__:
        return phones.mask(sealer.open(PHONE, sealed, blind_index=index))
    number = sealer.open(NUMBER, sealed, blind_index=index)
    return identity_documents.mask(str(values["kind"]), number)


def _field(entity: str, values: Values) -> str:
    """What a resident calls it: of the documents, one kind has a field of its own."""
    is_other = values.get("kind", DocumentKind.RESIDENT_ID_CARD) != DocumentKind.RESIDENT_ID_CARD
    return "identity_documents" if is_other else _NUMBERS[entity]
