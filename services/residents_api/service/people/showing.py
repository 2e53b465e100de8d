"""Residents shown: masked, as they were, or plain."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.common.database import ReadSession, WriteSession
from services.residents_api.domain import identity_documents, names, phones
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.errors import ResidentNotFound
from services.residents_api.models import IdentityDocument, Phone, Resident
from services.residents_api.repository import history
from services.residents_api.repository import people as repository
from services.residents_api.schemas.documents import RevealedDocument
from services.residents_api.schemas.guardians import RevealedGuardian
from services.residents_api.schemas.people import ResidentRead, ResidentRevealed, RevealedField
from services.residents_api.service import documents, guardians


async def masked(
    session: ReadSession, sealer: Sealer, rows: Sequence[Resident]
) -> list[ResidentRead]:
    """Rows as they may be shown to anyone who may read them: two queries more, however many."""
    ids = [row.id for row in rows]
    cards = await repository.identity_cards(session, ids) if ids else {}
    numbers = await repository.phones(session, ids) if ids else {}
    return [_masked(sealer, row, cards.get(row.id), numbers.get(row.id, ())) for row in rows]


async def masked_as_of(
    session: ReadSession, sealer: Sealer, row: Resident, *, until: datetime
) -> ResidentRead:
    """A resident as they were registered just before an instant. Raises ResidentNotFound."""
    ids = [row.id]
    was = await history.as_of(session, Resident, ids, until=until)
    if not was or was[0].created_at >= until:
        raise ResidentNotFound()
    held = await history.as_of(session, IdentityDocument, ids, until=until)
    numbers = await history.as_of(session, Phone, ids, until=until)
    numbers.sort(key=lambda phone: phone.ordinal)
    return _masked(sealer, was[0], next(filter(repository.is_card, held), None), numbers)


def _masked(
    sealer: Sealer,
    row: Resident,
    document: IdentityDocument | None,
    numbers: Sequence[Phone],
) -> ResidentRead:
    return ResidentRead.model_validate(
        {column: getattr(row, column) for column in _SHOWN}
        | {
            "name": names.mask(row.name),
            "id_number": _masked_number(sealer, document),
            "phones": [phones.mask(_plain(sealer, phone)) for phone in numbers],
        }
    )


_SHOWN = tuple(ResidentRead.model_fields.keys() - {"name", "id_number", "phones"})


def _masked_number(sealer: Sealer, document: IdentityDocument | None) -> str | None:
    if document is None:
        return None
    plain = sealer.open(NUMBER, document.number, blind_index=document.blind_index)
    return identity_documents.mask(document.kind, plain)


def _plain(sealer: Sealer, phone: Phone) -> str:
    return sealer.open(PHONE, phone.number, blind_index=phone.blind_index)


async def reveal(
    session: WriteSession, sealer: Sealer, row: Resident, fields: Sequence[RevealedField]
) -> ResidentRevealed:
    """The plain values asked for. The caller has written the audit row in the same transaction."""
    values: dict[str, Any] = dict.fromkeys(ResidentRevealed.model_fields) | {"id": row.id}
    for field in fields:
        match field:
            case RevealedField.ID_NUMBER:
                held = (await repository.identity_cards(session, [row.id])).get(row.id)
                if held is not None:
                    values["id_number"] = sealer.open(
                        NUMBER, held.number, blind_index=held.blind_index
                    )
            case RevealedField.PHONES:
                held_phones = (await repository.phones(session, [row.id])).get(row.id, [])
                values["phones"] = [_plain(sealer, phone) for phone in held_phones]
            case RevealedField.IDENTITY_DOCUMENTS:
                held_documents = (await repository.documents(session, [row.id])).get(row.id, [])
                values["identity_documents"] = [
                    RevealedDocument(**documents.revealed(sealer, document))
                    for document in held_documents
                ]
            case RevealedField.GUARDIANS:
                values["guardians"] = [
                    RevealedGuardian(**one)
                    for one in await guardians.revealed(session, sealer, row)
                ]
            case _:
                values[field.value] = getattr(row, field.value)
    return ResidentRevealed.model_validate(values)
