"""What the command remembers in the database itself, in a schema that no service may enter.

keys       which keys the data was written with: other keys would not read it
divisions  which list of divisions is loaded
town       the demo town: the day it was generated for, and whether it is all there
accounts   the demo accounts, made once; who deletes one does not get it back
"""

from typing import Any

from services.cli.failures import Failure


async def opened(connection: Any, *, fingerprint: str) -> dict[str, str]:
    """What is remembered. Raises Failure if the data was written with other keys."""
    await connection.execute(
        "CREATE SCHEMA IF NOT EXISTS shequ;"
        "CREATE TABLE IF NOT EXISTS shequ.installation (key text PRIMARY KEY, value text NOT NULL)"
    )
    await connection.execute(
        "INSERT INTO shequ.installation VALUES ('keys', $1) ON CONFLICT DO NOTHING", fingerprint
    )
    rows = await connection.fetch("SELECT key, value FROM shequ.installation")
    remembered = {row["key"]: row["value"] for row in rows}
    if remembered["keys"] != fingerprint:
        raise Failure(
            "The data in this database was written with keys of another data directory;"
            " give that one with --data-dir."
        )
    return remembered


async def remember(connection: Any, key: str, value: str) -> None:
    await connection.execute(
        "INSERT INTO shequ.installation VALUES ($1, $2)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
    )
