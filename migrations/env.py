"""Runs one service's lineage, in that service's schema, as that service's role."""

import asyncio
import importlib
import os
import zlib
from functools import partial

import asyncpg
from alembic import context
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

service = context.config.config_ini_section
metadata: MetaData = importlib.import_module(f"services.{service}.models").metadata


def url() -> str:
    """The URL that the caller passes, or the service's own setting."""
    given = context.config.attributes.get("url")
    if given is None:
        given = os.environ[f"{service.removesuffix('_api').upper()}_DATABASE__URL"]
    return str(given)


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        # Two deployments at once: the second waits, then finds nothing left to do.
        key = zlib.crc32(f"migrate {service}".encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        context.run_migrations()


async def main() -> None:
    engine = create_async_engine(
        # The driver reads the URL itself: SQLAlchemy knows few of libpq's parameters.
        "postgresql+asyncpg://",
        async_creator=partial(asyncpg.connect, url()),
        poolclass=pool.NullPool,
        hide_parameters=True,
    )
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url="postgresql://", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(main())
