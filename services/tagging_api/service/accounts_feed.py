"""Who can sign in: what the gateway's feed says of accounts, as far as `reach` asks."""

from collections.abc import Sequence

from services.common.database import WriteSession
from services.common.projection import Fact
from services.tagging_api.repository import accounts as repository

SOURCE = "gateway"
ACCOUNT_CHANGED = "cn.shequ.gateway.account.changed"


class AccountsProjection:
    """An account's id, whose it is, and whether it is active."""

    source = SOURCE
    types: Sequence[str] = (ACCOUNT_CHANGED,)

    async def apply(self, session: WriteSession, facts: Sequence[Fact], generation: int) -> None:
        states = [state for fact in facts for state in fact.data["accounts"]]
        await repository.apply(session, states, generation=generation)

    async def forget_before(self, session: WriteSession, generation: int) -> None:
        await repository.forget_before(session, generation)
