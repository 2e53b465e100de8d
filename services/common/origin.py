"""Who writes, and by what way: said to the database once per transaction, for its history.

Triggers keep what a transaction changed, whichever statement did it; this is how they know whom to
name. A transaction that says nothing is kept all the same, under the role that it ran as.
"""

from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from services.common.database import WriteSession

# What came through a service's own door.
API = "api"

# Said anew within one transaction, it is a new act.
_SAY = sa.text(
    "SELECT set_config('shequ.actor', :actor, true), set_config('shequ.source', :source, true),"
    " set_config('shequ.at', :at, true), set_config('shequ.act', '', true)"
)


async def say(session: WriteSession, *, actor: str, source: str, at: datetime) -> None:
    """Name who writes in the session's transaction from here on."""
    await session.execute(_SAY, {"actor": actor, "source": source, "at": at.isoformat()})


def say_at_begin(session: WriteSession, *, actor: str, source: str, at: datetime) -> None:
    """Name who writes as soon as the session's transaction begins: with its first statement."""
    said = {"actor": actor, "source": source, "at": at.isoformat()}

    def begun(_: Session, transaction: SessionTransaction, connection: sa.Connection) -> None:
        if not transaction.nested:
            connection.execute(_SAY, said)

    event.listen(cast(AsyncSession, session).sync_session, "after_begin", begun)
