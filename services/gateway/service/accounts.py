"""Making accounts and clients, and ending sign-ins."""

import secrets
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from services.common import outbox
from services.common.access import Permission, Role
from services.common.areas import Area, place_of
from services.common.database import WriteSession
from services.common.errors import problem_of
from services.common.identifiers import new_id
from services.common.problems import AreaForbidden, FieldError, RequestInvalid
from services.gateway.domain.accounts import account_faults, client_faults, password_faults
from services.gateway.errors import REFUSALS
from services.gateway.models import Account, ApiClient
from services.gateway.repository import sign_ins
from services.gateway.service.events import account_changed
from services.gateway.service.passwords import hashed


async def create_account(
    session: WriteSession,
    *,
    name: str,
    password: str,
    roles: Sequence[Role],
    areas: Sequence[str],
    resident_id: UUID | None = None,
) -> Account:
    """A new account. Raises RequestInvalid, or AccountNameTaken."""
    _refuse_faults(
        *account_faults(
            name=name, password=password, roles=roles, areas=areas, resident_id=resident_id
        )
    )
    account = Account(
        id=new_id(),
        name=name,
        password_hash=await hashed(password),
        roles=sorted({role.value for role in roles}),
        areas=sorted({Area.parse(area).code for area in areas}),
        resident_id=resident_id,
    )
    await _add(session, account)
    await outbox.emit(session, *account_changed([account]))
    return account


async def create_client(
    session: WriteSession,
    *,
    client_id: str,
    secret: str,
    name: str,
    scopes: Sequence[Permission],
    areas: Sequence[str],
) -> ApiClient:
    """A new client. Raises RequestInvalid, or ClientIdTaken."""
    _refuse_faults(*client_faults(client_id=client_id, secret=secret, scopes=scopes, areas=areas))
    client = ApiClient(
        client_id=client_id,
        secret_hash=await hashed(secret),
        name=name,
        scopes=sorted({scope.value for scope in scopes}),
        areas=sorted({Area.parse(area).code for area in areas}),
    )
    await _add(session, client)
    return client


async def set_password(session: WriteSession, account: Account, password: str) -> None:
    """Change the password and end every sign-in. Raises RequestInvalid."""
    _refuse_faults(*password_faults(password))
    account.password_hash = await hashed(password)
    await sign_ins.end_families_of(session, account.id)


def new_password() -> str:
    return secrets.token_urlsafe(12)


def refuse_areas_outside(areas: Sequence[str], *, within: Sequence[Area]) -> None:
    """Raises AreaForbidden for an area that does not lie within.

    Where a compound lies, the gateway does not know: only who has the compound itself may give it.
    """
    if not all(place_of(Area.parse(area)).within(within) for area in areas):
        raise AreaForbidden()


def _refuse_faults(*faults: FieldError) -> None:
    if faults:
        raise RequestInvalid(errors=faults)


async def _add(session: WriteSession, row: Account | ApiClient) -> None:
    session.add(row)
    try:
        # Now, not at the commit, so that a caller outside of HTTP also gets a refusal with a name.
        await session.flush()
        await session.refresh(row)
    except IntegrityError as refused:
        raise problem_of(refused, REFUSALS) from None
