"""Refresh tokens, their families, and failures to sign in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import select

from services.common.database import ReadSession, WriteSession
from services.gateway.models import Account, RefreshFamily, RefreshToken, SignInFailure


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a key failed within the window, and when it first did."""

    count: int
    first: datetime


async def refresh_token(
    session: ReadSession, digest: bytes
) -> tuple[RefreshToken, RefreshFamily, Account] | None:
    """A refresh token with its family and whose it is."""
    row = (
        await session.execute(
            select(RefreshToken, RefreshFamily, Account)
            .join(RefreshFamily, RefreshFamily.id == RefreshToken.family_id)
            .join(Account, Account.id == RefreshToken.account_id)
            .where(RefreshToken.hash == digest)
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def use(session: WriteSession, digest: bytes, *, at: datetime) -> bool:
    """Use up a token. False if it is used already: of two who present it, one gets True."""
    used = await session.execute(
        sa.update(RefreshToken)
        .where(RefreshToken.hash == digest, RefreshToken.used_at.is_(None))
        .values(used_at=at)
        .returning(RefreshToken.family_id)
    )
    return used.first() is not None


async def end_family(session: WriteSession, family_id: UUID, *, at: datetime) -> None:
    await session.execute(
        sa.update(RefreshFamily)
        .where(RefreshFamily.id == family_id, RefreshFamily.ended_at.is_(None))
        .values(ended_at=at)
    )


async def end_families_of(session: WriteSession, account_id: UUID) -> None:
    await session.execute(
        sa.update(RefreshFamily)
        .where(RefreshFamily.account_id == account_id, RefreshFamily.ended_at.is_(None))
        .values(ended_at=sa.func.now())
    )


async def failures(
    session: ReadSession, keys: Collection[bytes], *, since: datetime
) -> Mapping[bytes, Failures]:
    rows = await session.execute(
        select(SignInFailure.key, sa.func.count(), sa.func.min(SignInFailure.at))
        .where(SignInFailure.key.in_(keys), SignInFailure.at > since)
        .group_by(SignInFailure.key)
    )
    return {key: Failures(count, first) for key, count, first in rows}


async def forget_failures(session: WriteSession, key: bytes) -> None:
    await session.execute(sa.delete(SignInFailure).where(SignInFailure.key == key))


async def sweep(session: WriteSession, *, now: datetime, failed_before: datetime) -> None:
    """Drop what no longer matters: expired tokens, families without any, old failures."""
    await session.execute(sa.delete(SignInFailure).where(SignInFailure.at < failed_before))
    await session.execute(sa.delete(RefreshToken).where(RefreshToken.expires_at < now))
    kept = select(RefreshToken.hash).where(RefreshToken.family_id == RefreshFamily.id)
    await session.execute(sa.delete(RefreshFamily).where(sa.not_(kept.exists())))
