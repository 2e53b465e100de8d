"""The tables of the gateway: who may sign in, who has, and who failed to."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common import database, idempotency, outbox
from services.common.database import Code

metadata = database.metadata()
outbox.tables(metadata)
idempotency.table(metadata)


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = database.COLUMN_TYPES


class Account(Base):
    """Someone who signs in with a password. `roles` say what they may do, `areas` where."""

    __tablename__ = "account"
    __table_args__ = (sa.UniqueConstraint("name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Code)
    password_hash: Mapped[str]
    roles: Mapped[list[str]]
    areas: Mapped[list[str]]
    resident_id: Mapped[UUID | None]
    disabled_at: Mapped[datetime | None]
    # Of what neighbours are told: whose account it is, and whether it is good.
    version: Mapped[int] = mapped_column(sa.BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())

    def __repr__(self) -> str:
        return f"Account({self.id})"


class ApiClient(Base):
    """A program that signs in for itself."""

    __tablename__ = "api_client"

    client_id: Mapped[str] = mapped_column(Code, primary_key=True)
    secret_hash: Mapped[str]
    name: Mapped[str]
    scopes: Mapped[list[str]]
    areas: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())

    def __repr__(self) -> str:
        return f"ApiClient({self.client_id})"


class RefreshFamily(Base):
    """One sign-in, and all refresh tokens that follow from it. Ended, none of them is good.

    `scope` is what the sign-in asked for; null if it asked for all that the roles grant.
    `client_id` is the client through which the account signed in, if that client said who it is.
    """

    __tablename__ = "refresh_family"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(index=True)
    client_id: Mapped[str | None] = mapped_column(Code)
    scope: Mapped[list[str] | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token, known by its SHA-256. Each is good once."""

    __tablename__ = "refresh_token"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    account_id: Mapped[UUID]
    issued_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailure(Base):
    """A wrong password or secret, under a hash of the name or of the address it came from."""

    __tablename__ = "sign_in_failure"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
