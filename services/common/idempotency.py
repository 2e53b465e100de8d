"""`Idempotency-Key`: the same POST sent twice happens once, and is answered the same.

The key is written in the request's own transaction. A second request with the key waits on the
unique key until the first has ended: if it committed, the stored answer is given again; if it
failed, nothing is stored and the second one proceeds. Answers with plain personal values are never
stored (`routing.secret`). Keys are forgotten after a day.
"""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from starlette.responses import Response

from services.common.clock import Clock
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.problems import IdempotencyKeyReused, RequestInvalid, Text

KEEP = timedelta(days=1)
_MAX_KEY_LENGTH = 200
_KEPT_HEADERS = ("location", "etag")

_METADATA = sa.MetaData()


def table(metadata: sa.MetaData) -> sa.Table:
    """The table, for a service's own metadata."""
    return sa.Table(
        "idempotency_key",
        metadata,
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Index("idempotency_key_created_at_idx", "created_at"),
    )


_KEY = table(_METADATA)


@dataclass(frozen=True, slots=True)
class Once:
    """One act that is to happen once: whose it is, its key, and what exactly was asked."""

    caller: str
    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, caller: str, key: str, *, fingerprint: bytes) -> "Once":
        if not 1 <= len(key) <= _MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
            raise RequestInvalid.at(
                "/header/idempotency-key",
                "idempotency_key.malformed",
                Text("幂等键应为1至200个可打印字符", "1 to 200 printable ASCII characters"),
            )
        return cls(caller, key, fingerprint)


async def begin(session: WriteSession, once: Once) -> Response | None:
    """Claim the key; the stored answer if the act has happened already."""
    claimed = await session.execute(
        insert(_KEY)
        .values(caller=once.caller, key=once.key, fingerprint=once.fingerprint)
        .on_conflict_do_nothing()
        .returning(_KEY.c.key)
    )
    return None if claimed.first() is not None else await stored(session, once)


async def stored(session: ReadSession, once: Once) -> Response | None:
    """The answer to the act, if it has happened. Raises IdempotencyKeyReused."""
    mine = sa.and_(_KEY.c.caller == once.caller, _KEY.c.key == once.key)
    row = (await session.execute(sa.select(_KEY).where(mine))).one_or_none()
    if row is None:
        return None
    if row.fingerprint != once.fingerprint:
        raise IdempotencyKeyReused()
    return Response(
        bytes(row.body or b""),
        status_code=row.status,
        headers={**(row.headers or {}), "Idempotency-Replayed": "true"},
        media_type="application/json" if row.body else None,
    )


async def finish(session: WriteSession, once: Once, response: Response) -> None:
    mine = sa.and_(_KEY.c.caller == once.caller, _KEY.c.key == once.key)
    kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    await session.execute(
        sa.update(_KEY)
        .where(mine)
        .values(status=response.status_code, headers=kept, body=bytes(response.body))
    )


async def forget(sessions: Sessions, clock: Clock) -> None:
    """Drop keys older than a day."""
    async with sessions.write() as session:
        await session.execute(sa.delete(_KEY).where(_KEY.c.created_at < clock.now() - KEEP))
