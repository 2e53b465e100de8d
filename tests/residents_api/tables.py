"""The register's tables, past the door: for what no answer shows."""

import sqlalchemy as sa

from services.common.database import Sessions


async def counted(sessions: Sessions, table: str) -> int:
    """How many rows a table has."""
    async with sessions.read() as session:
        found = await session.scalar(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608
        assert isinstance(found, int)
        return found
