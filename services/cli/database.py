"""One database, a role and a schema per service; no role has rights on another's schema."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import asyncpg

from services.cli.failures import Failure

DATABASE = "shequ"
SERVICES = ("residents_api", "tagging_api", "reports_api", "gateway")
_MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
_REVISION = re.compile(r'^(down_)?revision\b[^=]*= "(\w+)"', re.MULTILINE)


def role_url(admin_url: str, *, role: str, password: str) -> str:
    """The URL of a service's own role on the server that `admin_url` points to."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


async def connect(url: str) -> Any:
    """An asyncpg connection. Raises Failure, without the URL: it holds a password."""
    where = _where(url)
    try:
        return await asyncpg.connect(url, timeout=10)
    except asyncpg.InvalidAuthorizationSpecificationError:
        reason = "refuses this user or password"
    except asyncpg.InvalidCatalogNameError:
        reason = "has no such database"
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as refused:
        reason = f"cannot be reached ({_reason(refused)})"
    raise Failure(f"The database server at {where} {reason}.")


def _where(url: str) -> str:
    """Host and port. Raises Failure if the URL is none of a PostgreSQL server."""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
        if parts.scheme in {"postgresql", "postgres"}:
            return f"{host}:{parts.port}" if parts.port else host
    raise Failure(
        "The database is named by a URL like postgresql://user:password@host:5432/database."
    )


def _reason(refused: Exception) -> str:
    if isinstance(refused, TimeoutError):
        return "no answer"
    if isinstance(refused, ConnectionRefusedError):
        return "connection refused"
    return getattr(refused, "strerror", None) or type(refused).__name__


async def create_database(admin_url: str, *, name: str = DATABASE) -> None:
    """Create the database of the embedded server, unless it exists."""
    connection = await connect(admin_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def set_roles(connection: Any, passwords: Mapping[str, str], *, town: str) -> None:
    """Create or refresh each service's role and schema. Idempotent.

    Roles belong to the whole server. Each is marked with `town`, so that another town's, which live
    in another database, are not given new passwords. Raises Failure, or what asyncpg raises if the
    database refuses.
    """
    if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
        raise Failure(f"The database holds {encoding} text; make one with encoding UTF8.")
    async with connection.transaction():
        # Two who set up one database at once would trip over each other.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('shequ roles'))")
        mark = f"shequ town {town}"
        await _refuse_roles_in_use(connection, mark)
        await connection.execute("SET LOCAL password_encryption = 'scram-sha-256'")
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
        )
        for role in SERVICES:
            await _create_role(connection, role, passwords[role], database=database, mark=mark)


async def _refuse_roles_in_use(connection: Any, mark: str) -> None:
    """Raises Failure if our roles own something in another database and are not marked as ours.

    Roles that a deleted town left behind own nothing: those are taken over.
    """
    other = await connection.fetchval(
        "SELECT d.datname FROM pg_shdepend s"
        " JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.refobjid"
        " WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'"
        " AND d.datname <> current_database() AND r.rolname = ANY($1)"
        " AND shobj_description(r.oid, 'pg_authid') IS DISTINCT FROM $2"
        " ORDER BY d.datname LIMIT 1",
        SERVICES,
        mark,
    )
    if other is not None:
        raise Failure(
            f"Another town, in the database {other}, uses this server's roles;"
            " give each town a PostgreSQL server of its own."
        )


async def _create_role(
    connection: Any, role: str, password: str, *, database: str, mark: str
) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role} LOGIN")
    quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
    comment = await connection.fetchval("SELECT quote_literal($1::text)", mark)
    await connection.execute(
        f"ALTER ROLE {role} PASSWORD {quoted};"
        f"COMMENT ON ROLE {role} IS {comment};"
        f"ALTER ROLE {role} SET search_path = {role};"
        f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};"
        f"GRANT {role} TO CURRENT_USER;"
        f"CREATE SCHEMA IF NOT EXISTS {role} AUTHORIZATION {role}"
    )


def heads(service: str) -> set[str]:
    """The newest revisions of a service's lineage, read off its files in a millisecond.

    Alembic says the same, but importing it takes longer than a second start has to spare.
    """
    found: dict[bool, set[str]] = {False: set(), True: set()}
    for file in (_MIGRATIONS / service).glob("*.py"):
        for down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
            found[bool(down)].add(revision)
    return found[False] - found[True]


async def is_current(connection: Any, service: str) -> bool:
    """Whether a service's schema is at the newest revision."""
    try:
        rows = await connection.fetch(f"SELECT version_num FROM {service}.alembic_version")  # noqa: S608 - one of SERVICES
    except asyncpg.UndefinedTableError:
        return False
    return {row["version_num"] for row in rows} == heads(service)


def migrate(service: str, url: str) -> None:
    """Bring one service's schema up to date. Raises Failure."""
    # Here, for a start that has nothing to migrate does without these 0.4 s.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(str(_MIGRATIONS / "alembic.ini"), ini_section=service)
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except CommandError:
        # A revision in the database that no file describes.
        raise Failure(f"The database was made by a newer version of {service}.") from None


def set_up(admin_url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Roles, schemas and migrations of every service, for tests; the URL of each."""
    asyncio.run(_create_roles(admin_url, passwords))
    urls = {role: role_url(admin_url, role=role, password=passwords[role]) for role in SERVICES}
    for service, url in urls.items():
        migrate(service, url)
    return urls


async def _create_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    connection = await connect(admin_url)
    try:
        # All databases of a test's server share one set of passwords.
        await set_roles(connection, passwords, town="of tests")
    finally:
        await connection.close()
