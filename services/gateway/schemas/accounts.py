"""Accounts as the wire has them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from services.common.access import Role
from services.common.schemas import AreaCode, Instant, Page, Schema
from services.gateway.domain.accounts import MAX_AREAS, NAME_PATTERN

AccountName = Annotated[str, Field(pattern=NAME_PATTERN, examples=["zhang.village"])]


class AccountCreate(Schema):
    name: AccountName
    roles: list[Role] = Field(min_length=1, max_length=len(Role), examples=[["grid_worker"]])
    areas: list[AreaCode] = Field(
        max_length=MAX_AREAS, description="Where the roles hold; for a resident, may be empty."
    )
    resident_id: UUID | None = Field(
        default=None, description="Whom an account of the role `resident` stands for."
    )


class AccountRead(Schema):
    id: UUID
    name: AccountName
    roles: list[Role]
    areas: list[AreaCode]
    resident_id: UUID | None
    disabled_at: Instant | None
    created_at: Instant


class AccountCreated(AccountRead):
    password: str = Field(description="Generated, and shown this once.", examples=["kX3…"])


class AccountPage(Page):
    items: list[AccountRead]


class MeRead(Schema):
    """Who the access token is about."""

    account: str = Field(description="The account's name, or the client's id.")
    roles: list[Role]
    areas: list[AreaCode]
    resident_id: UUID | None
