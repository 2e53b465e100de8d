"""Accounts and clients."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, select

from services.common import areas, pagination
from services.common.areas import GRID_LENGTH, Area, AreaKind
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.gateway.models import Account, ApiClient


async def account_named(session: ReadSession, name: str) -> Account | None:
    return await session.scalar(select(Account).where(Account.name == name))


async def account(session: ReadSession, account_id: UUID) -> Account | None:
    return await session.scalar(select(Account).where(Account.id == account_id))


async def after(session: ReadSession, account_id: UUID | None, *, limit: int) -> Sequence[Account]:
    """Accounts by id, from the one after."""
    statement = select(Account).order_by(Account.id).limit(limit)
    if account_id is not None:
        statement = statement.where(Account.id > account_id)
    return (await session.scalars(statement)).all()


async def client(session: ReadSession, client_id: str) -> ApiClient | None:
    return await session.scalar(select(ApiClient).where(ApiClient.client_id == client_id))


async def accounts_within(
    session: ReadSession, *, within: Sequence[Area], page: PageRequest
) -> Sequence[Account]:
    """Accounts by name, all of whose areas lie within. One without any area is in nobody's."""
    statement = pagination.keyset(
        select(Account).where(_lies_within(within)),
        Account.name,
        after=page.after(tuple[str]),
        size=page.size,
    )
    return (await session.scalars(statement)).all()


async def account_within(
    session: ReadSession, account_id: UUID, *, within: Sequence[Area]
) -> Account | None:
    return await session.scalar(
        select(Account).where(Account.id == account_id, _lies_within(within))
    )


def _lies_within(within: Sequence[Area]) -> ColumnElement[bool]:
    held = sa.func.unnest(Account.areas).table_valued("code").render_derived("held")
    code = sa.type_coerce(held.c.code.collate("C"), sa.Text)
    outside = select(held.c.code).where(sa.not_(_covers(within, code)))
    return sa.and_(sa.func.cardinality(Account.areas) > 0, sa.not_(outside.exists()))


def _covers(within: Sequence[Area], code: ColumnElement[str]) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    for area in within:
        if area.kind is AreaKind.DIVISION:
            # A longer code is a compound's id, which no prefix contains.
            lower, upper = areas.prefix_range(area.code)
            conditions.append(
                sa.and_(code >= lower, code < upper, sa.func.length(code) <= GRID_LENGTH)
            )
        else:
            conditions.append(code == area.code)
    return sa.or_(*conditions) if conditions else sa.false()
