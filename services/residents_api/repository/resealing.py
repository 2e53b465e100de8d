"""Every value that is sealed, wherever it stands, and giving it another key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select, text

from services.common.database import ReadSession, WriteSession
from services.residents_api.domain.sealing import (
    CONTACT_PHONE,
    GUARDIAN_CONTACT,
    NUMBER,
    PHONE,
    WANTED_CHANGE,
)
from services.residents_api.models import Base, LedgerImport

_TYPES = {"Uuid": "uuid", "LargeBinary": "bytea", "BigInteger": "bigint", "Integer": "integer"}


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values: as what they were sealed, and the blind index they are bound to."""

    table: str
    column: str
    said: str
    index: str
    where: str = "true"

    @property
    def key(self) -> Mapping[str, str]:
        """The primary key: names and types."""
        columns = Base.metadata.tables[self.table].primary_key.columns
        return {column.name: _TYPES[type(column.type).__name__] for column in columns}


# Whoever adds a column with sealed values adds it here: a test goes through all columns of bytes.
SEALED = (
    Sealed("identity_document", "number", NUMBER, "blind_index"),
    Sealed("phone", "number", PHONE, "blind_index"),
    Sealed("compound_contact", "phone", CONTACT_PHONE, "phone_index"),
    Sealed("guardian", "contact", GUARDIAN_CONTACT, "uuid_send(id)"),
    Sealed("change_request", "wanted", WANTED_CHANGE, "uuid_send(id)"),
    Sealed("ledger_staging", "number", NUMBER, "blind_index"),
    # What was once in a table of the register.
    Sealed("history", "sealed", NUMBER, "decode(key, 'hex')", "entity = 'identity_document'"),
    Sealed("history", "sealed", PHONE, "decode(key, 'hex')", "entity = 'phone'"),
    Sealed(
        "history", "sealed", GUARDIAN_CONTACT, "uuid_send(CAST(key AS uuid))", "entity = 'guardian'"
    ),
)
# Where values come in for good. History has them from these, and staging only hands them on.
KEPT = SEALED[:5]

_STALE = "{column} IS NOT NULL AND get_byte({column}, 0) <> :key_id AND {where}"

# As it is sealed, with its blind index: what a new ciphertext is made of.
Value = tuple[bytes, bytes]
Renew = Callable[[Sequence[Value]], Sequence[bytes | None]]


async def count(session: ReadSession, of: Sealed, *, key_id: int) -> int:
    """How many values have another key."""
    stale = _STALE.format(column=of.column, where=of.where)
    found = await session.scalar(
        text(f"SELECT count(*) FROM {of.table} WHERE {stale}"), {"key_id": key_id}
    )
    return int(found or 0)


async def some(
    session: ReadSession, of: Sealed, *, key_id: int, after: Sequence[Any] | None, limit: int
) -> Sequence[Any]:
    """A batch of values with another key: their primary keys, blind indexes, and themselves."""
    names = ", ".join(of.key)
    parameters: dict[str, Any] = {"key_id": key_id, "limit": limit}
    seen = ""
    if after is not None:
        parameters |= {f"k{n}": value for n, value in enumerate(after)}
        bound = ", ".join(f"CAST(:k{n} AS {kind})" for n, kind in enumerate(of.key.values()))
        seen = f" AND ({names}) > ({bound})"
    statement = text(
        f"SELECT {names}, {of.index} AS seal_index, {of.column} AS seal_value FROM {of.table}"
        f" WHERE {_STALE.format(column=of.column, where=of.where)}{seen}"
        f" ORDER BY {names} LIMIT :limit"
    )
    return (await session.execute(statement, parameters)).all()


async def renew(
    session: WriteSession, of: Sealed, rows: Sequence[Any], sealed: Sequence[bytes | None]
) -> int:
    """Write new ciphertexts where the old ones still stand; how many that were."""
    good = [(row, new) for row, new in zip(rows, sealed, strict=True) if new is not None]
    parameters: dict[str, Any] = {
        f"k{n}": [row[n] for row, _ in good] for n in range(len(of.key))
    } | {"old": [row.seal_value for row, _ in good], "new": [new for _, new in good]}
    arrays = ", ".join(f"CAST(:k{n} AS {kind}[])" for n, kind in enumerate(of.key.values()))
    names = ", ".join(of.key)
    same = " AND ".join(f"t.{name} = u.{name}" for name in of.key)
    statement = text(
        f"UPDATE {of.table} t SET {of.column} = u.new"
        f" FROM unnest({arrays}, CAST(:old AS bytea[]), CAST(:new AS bytea[]))"
        f" AS u ({names}, old, new) WHERE {same} AND t.{of.column} = u.old RETURNING 1"
    )
    return len((await session.execute(statement, parameters)).all())


# Phones on their way in, as text in an array: `<blind index>:<sealed>` in hex.
_STALE_PHONES = """
EXISTS (SELECT FROM unnest(phones) p
         WHERE get_byte(decode(split_part(p, ':', 2), 'hex'), 0) <> :key_id)
"""


async def staged_phones(
    session: ReadSession, *, key_id: int, limit: int
) -> Sequence[tuple[Any, int, list[str]]]:
    statement = text(
        f"SELECT import_id, ordinal, phones FROM ledger_staging WHERE {_STALE_PHONES} LIMIT :limit"
    )
    rows = await session.execute(statement, {"key_id": key_id, "limit": limit})
    return [(row.import_id, row.ordinal, row.phones) for row in rows]


async def renew_staged(
    session: WriteSession, import_id: Any, ordinal: int, old: list[str], new: list[str]
) -> None:
    await session.execute(
        text(
            "UPDATE ledger_staging SET phones = CAST(:new AS text[]) WHERE import_id = :import_id"
            " AND ordinal = :ordinal AND phones = CAST(:old AS text[])"
        ),
        {"import_id": import_id, "ordinal": ordinal, "old": old, "new": new},
    )


async def importing_since(session: ReadSession, *, before: datetime) -> Sequence[datetime | None]:
    """The leases of imports at work that may have sealed something before an instant."""
    statement = select(LedgerImport.lease_until).where(
        LedgerImport.state == "running", LedgerImport.created_at < before
    )
    return (await session.scalars(statement)).all()


def constraint(of: Sealed) -> str:
    return f"{of.table}_{of.column}_key_check"


async def refuse_older(session: WriteSession, of: Sealed, *, key_id: int) -> None:
    """From here on the database takes no value that is sealed with an older key.

    Waits for those who are writing to the table, though not for long: whoever comes after waits
    behind it.
    """
    await session.execute(text("SET LOCAL lock_timeout = '1s'"))
    name = constraint(of)
    await session.execute(
        text(
            f"ALTER TABLE {of.table} DROP CONSTRAINT IF EXISTS {name},"
            f" ADD CONSTRAINT {name} CHECK (get_byte({of.column}, 0) >= {int(key_id)}) NOT VALID"
        )
    )


async def prove(session: WriteSession, of: Sealed) -> None:
    """Have the database look at every value. Raises IntegrityError if one has an older key."""
    await session.execute(text(f"ALTER TABLE {of.table} VALIDATE CONSTRAINT {constraint(of)}"))


async def now(session: ReadSession) -> datetime:
    found = await session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime)
    return found


def bytes_columns() -> set[tuple[str, str]]:
    """Every column of bytes in the register."""
    return {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
