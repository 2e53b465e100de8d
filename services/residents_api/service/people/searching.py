"""What is looked for, in the form in which it is kept."""

from datetime import date

from services.common.problems import RequestInvalid, Text
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.repository import people as repository
from services.residents_api.schemas.documents import DocumentWanted
from services.residents_api.service import documents
from services.residents_api.service.people import checking


def wanted(
    sealer: Sealer,
    *,
    name: str | None,
    pinyin: str | None,
    id_number: str | None,
    phone: str | None,
    document: DocumentWanted | None,
    today: date,
) -> repository.Wanted:
    """Search terms in the form in which they are stored. Raises RequestInvalid."""
    if not any((name, pinyin, id_number, phone, document)):
        raise RequestInvalid.at(
            "", "search.empty", Text("请至少给出一个查询条件", "Say at least one thing to look for")
        )
    number = checking.parsed(id_number, today).number if id_number else None
    return repository.Wanted(
        name=checking.name_of(name) if name else None,
        pinyin=pinyin,
        number_index=sealer.blind_index(NUMBER, number) if number else None,
        phone_index=(
            sealer.blind_index(PHONE, checking.phone_of(phone, pointer="/phone")) if phone else None
        ),
        document_index=(
            documents.indexed(sealer, document, pointer="/identity_document", today=today)[1]
            if document
            else None
        ),
    )
