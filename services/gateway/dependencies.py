"""What endpoints are handed: the caller, the account by path id, or a refusal."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from starlette.requests import Request

from services.common.routing import Reading
from services.common.security import Caller, CurrentCaller, TokenVerifier
from services.gateway.errors import AccountNotFound
from services.gateway.models import Account
from services.gateway.repository import accounts


async def signed_in(request: Request) -> Caller:
    """Whoever presents a good token, whatever it permits. Raises TokenMissing or TokenInvalid."""
    verifier: TokenVerifier = request.state.verifier
    return await verifier.caller(request)


SignedIn = Annotated[Caller, Depends(signed_in)]


async def account_in_path(account_id: UUID, session: Reading, caller: CurrentCaller) -> Account:
    """The account, if it lies within the caller's areas."""
    found = await accounts.account_within(session, account_id, within=caller.areas)
    if found is None:
        raise AccountNotFound()
    return found


AccountInPath = Annotated[Account, Depends(account_in_path)]
