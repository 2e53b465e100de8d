"""One database, a role and a schema per service; no role has rights on another's schema."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import asyncpg
from alembic import command
from alembic.config import Config

from services.cli.failures import Failure

DATABASE = "shequ"
SERVICES = ("residents_api", "tagging_api", "reports_api", "gateway")
_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations" / "alembic.ini"


def role_url(admin_url: str, *, role: str, password: str) -> str:
    """The URL of a service's own role on the server that `admin_url` points to."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


async def connect(url: str) -> Any:
    """An asyncpg connection. Raises Failure, without the URL: it holds a password."""
    try:
        return await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as refused:
        raise Failure(
            f"The database at {_where(url)} cannot be reached ({type(refused).__name__})."
        ) from None


def _where(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"{host}:{parts.port}" if parts.port else host


async def create_database(admin_url: str, *, name: str = DATABASE) -> None:
    """Create the database of the embedded server, unless it exists."""
    connection = await connect(admin_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def create_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Create or refresh each service's role and schema. Idempotent."""
    connection = await connect(admin_url)
    try:
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
        )
        for role in SERVICES:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await connection.execute(f"CREATE ROLE {role} LOGIN")
            password = await connection.fetchval("SELECT quote_literal($1::text)", passwords[role])
            await connection.execute(
                f"SET password_encryption = 'scram-sha-256';"
                f"ALTER ROLE {role} PASSWORD {password};"
                f"ALTER ROLE {role} SET search_path = {role};"
                f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};"
                f"GRANT {role} TO CURRENT_USER;"
                f"CREATE SCHEMA IF NOT EXISTS {role} AUTHORIZATION {role}"
            )
    except asyncpg.InsufficientPrivilegeError:
        raise Failure(
            "The database's role may not create roles and schemas; use one that may."
        ) from None
    finally:
        await connection.close()


def migrate(service: str, url: str) -> None:
    """Bring one service's schema up to date."""
    config = Config(str(_MIGRATIONS), ini_section=service)
    config.attributes["url"] = url
    command.upgrade(config, "head")


def set_up(admin_url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Roles, schemas and migrations of every service; the URL of each."""
    asyncio.run(create_roles(admin_url, passwords))
    urls = {role: role_url(admin_url, role=role, password=passwords[role]) for role in SERVICES}
    for service, url in urls.items():
        migrate(service, url)
    return urls
