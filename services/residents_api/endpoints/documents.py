"""`/v1/residents/{id}/identity-documents` and `/guardians`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.preconditions import IfMatch, etag
from services.common.problems import PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    LockedResidentInPath,
    Now,
    RegisterSealer,
    ResidentInPath,
    Today,
)
from services.residents_api.errors import (
    DocumentHeld,
    DocumentNotFound,
    FieldNeedsReview,
    GuardianNotFound,
    GuardiansFull,
    GuardianTaken,
    NotAMinor,
    NumberTaken,
    ResidentMerged,
    ResidentNotFound,
)
from services.residents_api.schemas.documents import (
    DocumentCreate,
    DocumentList,
    DocumentRead,
    DocumentUpdate,
)
from services.residents_api.schemas.guardians import GuardianCreate, GuardianList, GuardianRead
from services.residents_api.service import changes, documents, guardians

router = APIRouter(prefix="/v1/residents", tags=["residents"], route_class=UnitOfWorkRoute)

Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Writer = Annotated[Caller, requires(Permission.RESIDENTS_WRITE)]


@router.get(
    "/{resident_id}/identity-documents", responses=refuses(ResidentNotFound, ResidentMerged)
)
async def list_identity_documents(
    _: Reader, session: Reading, sealer: RegisterSealer, row: ResidentInPath
) -> DocumentList:
    """All identity documents of a resident, masked, also those that were replaced."""
    return DocumentList(items=await documents.shown(session, sealer, row), next_page_token=None)


@router.post(
    "/{resident_id}/identity-documents",
    status_code=201,
    responses=refuses(
        ResidentNotFound, ResidentMerged, NumberTaken, DocumentHeld, FieldNeedsReview
    ),
)
async def register_identity_document(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: DocumentCreate,
    now: Now,
    on: Today,
    response: Response,
) -> DocumentRead:
    """Register a document. A number has one owner in the register; the `ETag` is the resident's.

    Who may change an identity number only after a review registers no documents.
    """
    changes.refuse_direct(caller, {"id_number"})
    document = await documents.create(session, sealer, row, wanted, now=now, today=on)
    response.headers["Location"] = f"/v1/residents/{row.id}/identity-documents"
    response.headers["ETag"] = etag(row.version)
    return documents.masked(sealer, document)


@router.patch(
    "/{resident_id}/identity-documents/{document_id}",
    responses=refuses(
        ResidentNotFound,
        ResidentMerged,
        DocumentNotFound,
        DocumentHeld,
        FieldNeedsReview,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def update_identity_document(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    document_id: UUID,
    version: IfMatch,
    wanted: DocumentUpdate,
    now: Now,
    on: Today,
    response: Response,
) -> DocumentRead:
    """Say that a document is lost, replaced, expired, or valid again. `If-Match` and `ETag` are the
    resident's.
    """
    changes.refuse_direct(caller, {"id_number"})
    document = await documents.set_status(
        session, row, document_id, wanted.status, version=version, now=now, today=on
    )
    response.headers["ETag"] = etag(row.version)
    return documents.masked(sealer, document)


@router.get("/{resident_id}/guardians", responses=refuses(ResidentNotFound, ResidentMerged))
async def list_guardians(
    caller: Reader, session: Reading, sealer: RegisterSealer, row: ResidentInPath, on: Today
) -> GuardianList:
    """Who answers for a minor, masked."""
    items = await guardians.shown(session, sealer, row, within=caller.areas, today=on)
    return GuardianList(items=items, next_page_token=None)


@router.post(
    "/{resident_id}/guardians",
    status_code=201,
    responses=refuses(ResidentNotFound, ResidentMerged, NotAMinor, GuardianTaken, GuardiansFull),
)
async def add_guardian(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedResidentInPath,
    wanted: GuardianCreate,
    now: Now,
    on: Today,
    response: Response,
) -> GuardianRead:
    """Name a guardian of a minor: a resident within your areas, or somebody by name and phone."""
    guardian = await guardians.create(
        session, sealer, row, wanted, within=caller.areas, now=now, today=on
    )
    response.headers["Location"] = f"/v1/residents/{row.id}/guardians"
    shown = await guardians.shown(session, sealer, row, within=caller.areas, today=on)
    return next(one for one in shown if one.id == guardian.id)


@router.delete(
    "/{resident_id}/guardians/{guardian_id}",
    status_code=204,
    responses=refuses(ResidentNotFound, ResidentMerged, GuardianNotFound),
)
async def remove_guardian(
    _: Writer,
    session: Writing,
    row: LockedResidentInPath,
    guardian_id: UUID,
    now: Now,
    on: Today,
) -> None:
    """Somebody is no guardian any more. `guardian_id` is the entry's `id`."""
    await guardians.remove(session, row, guardian_id, now=now, today=on)
