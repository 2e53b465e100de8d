"""Identity documents: registered, found by their number, lost, replaced, expired."""

import hashlib
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.common.database import ReadSession, WriteSession
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import identity_documents, identity_numbers
from services.residents_api.domain.identity_documents import (
    DocumentKind,
    DocumentNumberError,
    DocumentStatus,
)
from services.residents_api.domain.sealing import NUMBER, Sealer
from services.residents_api.errors import DocumentHeld, DocumentNotFound
from services.residents_api.models import IdentityDocument, Resident
from services.residents_api.repository import people as repository
from services.residents_api.schemas.documents import DocumentCreate, DocumentRead, DocumentWanted
from services.residents_api.service.people import checking, updating


async def create(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    wanted: DocumentCreate,
    *,
    now: datetime,
    today: date,
) -> IdentityDocument:
    """Register a document of a resident whom the caller has locked.

    Raises RequestInvalid, DocumentHeld, NumberTaken (by constraint).
    """
    number, blind_index = indexed(sealer, wanted, pointer="", today=today)
    document = IdentityDocument(
        blind_index=blind_index,
        resident_id=row.id,
        kind=wanted.kind.value,
        number=sealer.seal(NUMBER, number, blind_index=blind_index),
        status=DocumentStatus.VALID.value,
        issuing_country=wanted.issuing_country,
    )
    await _refuse_second(session, row, document)
    if wanted.kind is DocumentKind.RESIDENT_ID_CARD:
        said = identity_numbers.parse(number, today=today)
        known = row.sex if row.sex in ("male", "female") else None
        checking.agree(said, sex=known, birth_date=row.birth_date, today=today)
        row.sex, row.birth_date = said.sex, said.birth_date
    session.add(document)
    await updating.moved_on(session, row, now=now, today=today)
    return document


async def set_status(
    session: WriteSession,
    row: Resident,
    document_id: UUID,
    status: DocumentStatus,
    *,
    version: int,
    now: datetime,
    today: date,
) -> IdentityDocument:
    """Of a resident whom the caller has locked. Raises PreconditionFailed, DocumentNotFound,
    DocumentHeld.
    """
    check_version(row.version, version)
    held = (await repository.documents(session, [row.id])).get(row.id, [])
    document = next((one for one in held if id_of(one) == document_id), None)
    if document is None:
        raise DocumentNotFound()
    if document.status == status:
        return document
    if document.status == DocumentStatus.REPLACED:
        await _refuse_second(session, row, document)
    document.status = status.value
    await updating.moved_on(session, row, now=now, today=today)
    return document


async def _refuse_second(session: ReadSession, row: Resident, wanted: IdentityDocument) -> None:
    """Of a kind, one is in use; a passport of each country."""
    for held in (await repository.documents(session, [row.id])).get(row.id, []):
        alike = (held.kind, held.issuing_country) == (wanted.kind, wanted.issuing_country)
        if alike and held.status != DocumentStatus.REPLACED:
            raise DocumentHeld()


def indexed(
    sealer: Sealer, wanted: DocumentWanted, *, pointer: str, today: date
) -> tuple[str, bytes]:
    """A document's number as it is kept, and what it is found by. Raises RequestInvalid."""
    is_passport = wanted.kind is DocumentKind.PASSPORT
    if is_passport != (wanted.issuing_country is not None):
        raise RequestInvalid.at(
            f"{pointer}/issuing_country",
            "document.issuing_country",
            Text("护照须填写签发国家，其他证件不填", "Of a passport, and only of a passport"),
        )
    try:
        number = identity_documents.parse(wanted.kind, wanted.number, today=today)
    except DocumentNumberError as refused:
        raise RequestInvalid.at(
            f"{pointer}/number",
            refused.code,
            Text("不是这种证件的号码", "Not a number of this kind of document"),
        ) from None
    return number, sealer.blind_index(_column(wanted.kind), (wanted.issuing_country or "") + number)


def _column(kind: DocumentKind) -> str:
    return NUMBER if kind is DocumentKind.RESIDENT_ID_CARD else f"{NUMBER}.{kind.value}"


def id_of(document: IdentityDocument) -> UUID:
    """The document in a URL: made from its keyed hash, which stays inside."""
    digest = hashlib.sha256(b"shequ.identity_document" + document.blind_index).digest()
    return UUID(bytes=digest[:16], version=5)


async def shown(session: ReadSession, sealer: Sealer, row: Resident) -> list[DocumentRead]:
    """All of a resident's documents, masked."""
    held = (await repository.documents(session, [row.id])).get(row.id, [])
    return [masked(sealer, document) for document in held]


def masked(sealer: Sealer, document: IdentityDocument) -> DocumentRead:
    values = revealed(sealer, document)
    hidden = identity_documents.mask(document.kind, values["number"])
    return DocumentRead.model_validate(values | {"number": hidden})


def revealed(sealer: Sealer, document: IdentityDocument) -> dict[str, Any]:
    """A document with its number."""
    return {
        "id": id_of(document),
        "kind": document.kind,
        "number": sealer.open(NUMBER, document.number, blind_index=document.blind_index),
        "issuing_country": document.issuing_country,
        "status": document.status,
    }
