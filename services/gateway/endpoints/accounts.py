"""`/v1/accounts`: who may sign in."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, requires
from services.gateway.dependencies import AccountInPath
from services.gateway.errors import AccountNameTaken, AccountNotFound
from services.gateway.repository import accounts as repository
from services.gateway.schemas.accounts import (
    AccountCreate,
    AccountCreated,
    AccountPage,
    AccountRead,
)
from services.gateway.service import accounts

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=UnitOfWorkRoute)

Administrator = Annotated[Caller, requires(Permission.ACCOUNTS_WRITE)]


@router.post("/accounts", status_code=201, responses=refuses(AreaForbidden, AccountNameTaken))
@secret
async def create_account(
    body: AccountCreate, caller: Administrator, session: Writing, response: Response
) -> AccountCreated:
    """Make an account, in areas of one's own. Its password is generated and shown this once."""
    accounts.refuse_areas_outside(body.areas, within=caller.areas)
    password = accounts.new_password()
    account = await accounts.create_account(
        session,
        name=body.name,
        password=password,
        roles=body.roles,
        areas=body.areas,
        resident_id=body.resident_id,
    )
    response.headers["Location"] = f"/v1/accounts/{account.id}"
    read = AccountRead.model_validate(account)
    return AccountCreated(**read.model_dump(), password=password)


@router.get("/accounts")
async def list_accounts(caller: Administrator, session: Reading, page: PageInQuery) -> AccountPage:
    """Accounts by name, all of whose areas lie within one's own.

    Residents' accounts that name no area are in nobody's list.
    """
    rows = await repository.accounts_within(session, within=caller.areas, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.name,))
    return AccountPage.model_validate({"items": items, "next_page_token": token})


@router.get("/accounts/{account_id}", responses=refuses(AccountNotFound))
async def get_account(_: Administrator, account: AccountInPath) -> AccountRead:
    """One account."""
    return AccountRead.model_validate(account)
