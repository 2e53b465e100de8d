"""`/v1/compounds`: residential compounds."""

from typing import Annotated

from fastapi import APIRouter, Response

from services.common.access import Permission
from services.common.areas import Place
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.preconditions import IfMatch, etag
from services.common.problems import AreaForbidden, PreconditionFailed, PreconditionRequired
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, requires
from services.residents_api.dependencies import (
    AreasInQuery,
    CompoundInPath,
    LockedCompoundInPath,
    Now,
    RegisterSealer,
)
from services.residents_api.errors import (
    CompoundNameTaken,
    CompoundNotEmpty,
    CompoundNotFound,
    DivisionEnded,
)
from services.residents_api.repository import compounds as repository
from services.residents_api.schemas.compounds import (
    CompoundCreate,
    CompoundPage,
    CompoundRead,
    CompoundUpdate,
    ContactRevealRequest,
    ContactsRevealed,
)
from services.residents_api.service import accesses
from services.residents_api.service import compounds as service

router = APIRouter(prefix="/v1/compounds", tags=["areas"], route_class=UnitOfWorkRoute)

ReferenceReader = Annotated[Caller, requires(Permission.REFERENCE_READ)]
Reader = Annotated[Caller, requires(Permission.RESIDENTS_READ)]
Revealer = Annotated[Caller, requires(Permission.RESIDENTS_REVEAL)]
Writer = Annotated[Caller, requires(Permission.AREAS_WRITE)]


@router.get("", responses=refuses(AreaForbidden))
async def list_compounds(
    _: ReferenceReader, session: Reading, areas: AreasInQuery, page: PageInQuery
) -> CompoundPage:
    """Compounds within an area, in the order of their villages."""
    rows = await repository.compounds(session, within=areas, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.village_code, row.id))
    return CompoundPage(items=[service.summary(row) for row in items], next_page_token=token)


@router.post(
    "", status_code=201, responses=refuses(AreaForbidden, DivisionEnded, CompoundNameTaken)
)
async def create_compound(
    caller: Writer,
    session: Writing,
    sealer: RegisterSealer,
    wanted: CompoundCreate,
    response: Response,
) -> CompoundRead:
    """A new compound of a village within the caller's areas."""
    if not caller.sees(Place(wanted.village_code)):
        raise AreaForbidden()
    row = await service.create(session, sealer, wanted)
    response.headers["Location"] = f"/v1/compounds/{row.id}"
    response.headers["ETag"] = etag(row.version)
    return await service.shown(session, sealer, row)


@router.get("/{compound_id}", responses=refuses(CompoundNotFound))
async def show_compound(
    _: Reader, session: Reading, sealer: RegisterSealer, row: CompoundInPath, response: Response
) -> CompoundRead:
    """One compound in full, its contacts masked. The `ETag` is what an update must present."""
    response.headers["ETag"] = etag(row.version)
    return await service.shown(session, sealer, row)


@router.patch(
    "/{compound_id}",
    responses=refuses(
        CompoundNotFound, CompoundNameTaken, PreconditionFailed, PreconditionRequired
    ),
)
async def update_compound(
    _: Writer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedCompoundInPath,
    version: IfMatch,
    wanted: CompoundUpdate,
    response: Response,
) -> CompoundRead:
    """Change the fields that are present."""
    row = await service.update(session, sealer, row, wanted, version=version)
    response.headers["ETag"] = etag(row.version)
    return await service.shown(session, sealer, row)


@router.delete(
    "/{compound_id}",
    status_code=204,
    responses=refuses(CompoundNotFound, CompoundNotEmpty, PreconditionFailed, PreconditionRequired),
)
async def delete_compound(
    _: Writer, session: Writing, row: LockedCompoundInPath, version: IfMatch
) -> None:
    """Delete a compound with nothing in it."""
    await service.remove(session, row, version=version)


@router.post("/{compound_id}/reveal", responses=refuses(CompoundNotFound))
@secret
async def reveal_compound_contacts(
    caller: Revealer,
    session: Writing,
    sealer: RegisterSealer,
    row: LockedCompoundInPath,
    wanted: ContactRevealRequest,
    now: Now,
    response: Response,
) -> ContactsRevealed:
    """Names and phones of the contacts, for a purpose. Leaves an audit row for each, under its id,
    in the same transaction.
    """
    contacts = await repository.contacts(session, row.id)
    if contacts:
        await accesses.record(
            session,
            sealer,
            resident_ids=[contact.id for contact in contacts],
            caller=caller,
            act="reveal_contact",
            purpose=wanted.purpose,
            fields=["name", "phone"],
            outcome="granted",
            now=now,
        )
    response.headers["Cache-Control"] = "no-store"
    return ContactsRevealed(items=service.revealed(sealer, contacts), next_page_token=None)
