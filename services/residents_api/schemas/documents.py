"""Identity documents of several kinds."""

from uuid import UUID

from pydantic import Field

from services.common.schemas import Schema
from services.residents_api.domain.identity_documents import DocumentKind, DocumentStatus
from services.residents_api.schemas.codes import Nationality
from services.residents_api.schemas.personal import NumberText


class DocumentWanted(Schema):
    """A document by its number; a passport's is one of the country that issued it."""

    kind: DocumentKind
    number: NumberText
    issuing_country: Nationality | None = Field(
        default=None, description="Of a passport, and only of one.", examples=[None]
    )


class DocumentCreate(DocumentWanted):
    """A document to register. Of a kind (a passport: of a country) one at most is not replaced."""


class DocumentUpdate(Schema):
    status: DocumentStatus


class DocumentRead(Schema):
    id: UUID
    kind: DocumentKind
    number: str = Field(description="Masked.", examples=["519**************5"])
    issuing_country: Nationality | None
    status: DocumentStatus


class DocumentList(Schema):
    """All documents of a person; there are few, so this list has one page."""

    items: list[DocumentRead]
    next_page_token: str | None


class RevealedDocument(Schema):
    """A document with its number."""

    id: UUID
    kind: DocumentKind
    number: str
    issuing_country: Nationality | None
    status: DocumentStatus
