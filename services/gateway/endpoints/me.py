"""`/v1/me` and `/v1/sign-out`: for everyone who has signed in, whatever their role."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from services.common.errors import refuses
from services.common.problems import TokenInvalid, TokenMissing
from services.common.routing import Reading, UnitOfWorkRoute, public
from services.common.security import Caller
from services.gateway.dependencies import SignedIn
from services.gateway.repository import accounts
from services.gateway.schemas.accounts import MeRead
from services.gateway.service.grants import Grants

router = APIRouter(prefix="/v1", tags=["sign-in"], route_class=UnitOfWorkRoute)

# No permission is needed, but a token is.
_BEARER: dict[str, Any] = {"security": [{"bearer": []}]}
_REFUSES = refuses(TokenMissing, TokenInvalid)


@router.get("/me", openapi_extra=_BEARER, responses=_REFUSES)
@public
async def get_me(caller: SignedIn, session: Reading) -> MeRead:
    """Who the access token is about, and what it opens where."""
    kind, _, name = caller.sub.partition(":")
    if kind == "account":
        name = await _account_name(session, caller)
    return MeRead(
        account=name,
        roles=sorted(caller.roles),
        areas=[area.code for area in caller.areas],
        resident_id=caller.resident_id,
    )


async def _account_name(session: Reading, caller: Caller) -> str:
    try:
        account = await accounts.account(session, UUID(caller.sub.partition(":")[2]))
    except ValueError:
        account = None
    if account is None or account.disabled_at is not None:
        raise TokenInvalid()
    return account.name


@router.post("/sign-out", status_code=204, openapi_extra=_BEARER, responses=_REFUSES)
@public
async def sign_out(request: Request, caller: SignedIn) -> None:
    """End the sign-in that the token comes from: its refresh tokens are no longer good.

    The access token itself lives on until it expires, which is minutes.
    """
    grants: Grants = request.state.grants
    if caller.session_id is not None:
        await grants.end(caller.session_id)
