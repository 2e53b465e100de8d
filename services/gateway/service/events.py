"""What the gateway tells its neighbours of accounts: whose they are, and whether they are good."""

from collections.abc import Sequence
from uuid import UUID

from services.common.database import ReadSession
from services.common.outbox import Event, batches
from services.common.problems import RequestInvalid, Text
from services.gateway.models import Account
from services.gateway.repository import accounts as repository

ACCOUNT_CHANGED = "cn.shequ.gateway.account.changed"
_SNAPSHOT_PAGE = 10_000


def account_changed(accounts: Sequence[Account]) -> list[Event]:
    """State, of up to 1,000 accounts an event. No name: that is what somebody signs in with."""
    states = [
        {
            "id": str(account.id),
            "version": account.version,
            "resident_id": str(account.resident_id) if account.resident_id else None,
            "active": account.disabled_at is None,
        }
        for account in accounts
    ]
    return batches(ACCOUNT_CHANGED, "accounts", states)


async def snapshot(session: ReadSession, token: str | None) -> tuple[Sequence[Event], str | None]:
    """Every account, in stretches; the token is the last id of the one before."""
    found = await repository.after(session, _last(token), limit=_SNAPSHOT_PAGE)
    following = str(found[-1].id) if len(found) == _SNAPSHOT_PAGE else None
    return account_changed(found), following


def _last(token: str | None) -> UUID | None:
    try:
        return UUID(token) if token is not None else None
    except ValueError:
        detail = Text("游标格式不正确", "Not a cursor of this feed")
        raise RequestInvalid.at("/query/after", "cursor.malformed", detail) from None
