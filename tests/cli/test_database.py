"""Roles that cannot enter each other's schema, and how far each schema is."""

from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.cli import database, installation
from services.cli.failures import Failure
from tests.conftest import Database

MIGRATIONS = Path(__file__).parents[2] / "migrations"


@pytest.mark.parametrize("service", database.SERVICES)
def test_heads_are_what_alembic_calls_heads(service: str) -> None:
    config = Config(str(MIGRATIONS / "alembic.ini"), ini_section=service)
    assert database.heads(service) == set(ScriptDirectory.from_config(config).get_heads())


async def test_a_migrated_schema_is_current_and_an_older_one_is_not(db: Database) -> None:
    connection = await database.connect(db.admin_url)
    try:
        for service in database.SERVICES:
            assert await database.is_current(connection, service)
        await connection.execute("UPDATE gateway.alembic_version SET version_num = 'older'")
        assert not await database.is_current(connection, "gateway")
        await connection.execute("DROP TABLE reports_api.alembic_version")
        assert not await database.is_current(connection, "reports_api")
    finally:
        await connection.close()


@pytest.mark.parametrize("service", database.SERVICES)
async def test_a_role_has_no_rights_elsewhere(db: Database, service: str) -> None:
    connection = await database.connect(db.urls[service])
    try:
        for other in database.SERVICES:
            if other == service:
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT * FROM {other}.alembic_version")  # noqa: S608
        for forbidden in (
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "SET ROLE postgres",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()


async def test_other_keys_are_refused(db: Database) -> None:
    connection = await database.connect(db.admin_url)
    try:
        first = await installation.opened(connection, fingerprint="one")
        assert first == {"keys": "one"}
        await installation.remember(connection, "town", "loading")
        await installation.remember(connection, "town", "loaded")
        again = await installation.opened(connection, fingerprint="one")
        assert again == {"keys": "one", "town": "loaded"}
        with pytest.raises(Failure, match="another data directory"):
            await installation.opened(connection, fingerprint="two")
    finally:
        await connection.close()


async def test_a_wrong_password_is_not_repeated(db: Database) -> None:
    wrong = database.role_url(db.admin_url, role="gateway", password="guessed")
    with pytest.raises(Failure, match="refuses this user or password") as refused:
        await database.connect(wrong)
    assert "guessed" not in str(refused.value)


async def test_a_missing_database_is_named_as_such(db: Database) -> None:
    missing = db.urls["gateway"].replace(db.name, "no_such_database")
    with pytest.raises(Failure, match="has no such database"):
        await database.connect(missing)
