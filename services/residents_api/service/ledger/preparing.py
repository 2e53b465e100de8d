"""What one worker process does with a chunk of a ledger: check, seal, and write COPY text.

Everything that costs per row happens here, so that it spreads over processes; the parent only
streams bytes into PostgreSQL.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from uuid import UUID

from services.residents_api.domain import addresses, names
from services.residents_api.domain.codes import RowCode
from services.residents_api.domain.ledger import LedgerRow, Villages, check
from services.residents_api.domain.sealing import NUMBER, PHONE, STATEMENT_BYTES, Sealer
from services.residents_api.models import STATED_FIELDS, LedgerStaging
from services.residents_api.models import LedgerRow as LedgerRowTable
from services.residents_api.service.ledger import known_rows
from services.residents_api.service.ledger.known_rows import KnownRows
from services.residents_api.service.ledger.reading import Numbered

STAGING_COLUMNS = tuple(column.name for column in LedgerStaging.__table__.columns)
ROW_COLUMNS = tuple(column.name for column in LedgerRowTable.__table__.columns)

_UNSAID = bytes(STATEMENT_BYTES)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"'})
_NULL = "\\N"


@dataclass(frozen=True)
class Job:
    """What is the same for every row of an import."""

    import_id: UUID
    village_code: str
    today: date
    sealer: Sealer
    villages: Villages
    known: KnownRows | None = None

    @cached_property
    def import_text(self) -> str:
        return str(self.import_id)


@dataclass(frozen=True, slots=True)
class Prepared:
    """COPY text for the two tables, and how many rows went where.

    `known` are the entries of rows that were said before, word for word; they are accepted, and not
    staged. `others` are the keys of the persons who are.
    """

    staging: bytes
    rows: bytes
    accepted: int
    rejected: int
    known: bytes
    others: bytes


def prepare(job: Job, records: Sequence[Numbered]) -> Prepared:
    staging: list[str] = []
    rows: list[str] = []
    known: list[bytes] = []
    others: list[bytes] = []
    for numbered in records:
        digest = known_rows.digest(numbered.record, key=job.sealer.index_key)
        entry = job.known.entry(digest) if job.known else None
        if entry is not None:
            known.append(entry)
            rows.append(_unchanged(job, numbered))
            continue
        row = check(numbered.record, today=job.today)
        rows.append(_outcome(job, numbered, row))
        if not row.rejected:
            persons = _persons(job.sealer, row)
            staging.append(_staged(job, numbered, row, entry=digest + persons))
            others.append(persons[: known_rows.PERSON_BYTES])
    return Prepared(
        staging="".join(staging).encode(),
        rows="".join(rows).encode(),
        accepted=len(staging) + len(known),
        rejected=len(records) - len(staging) - len(known),
        known=b"".join(known),
        others=b"".join(others),
    )


def _line(values: Mapping[str, str], columns: Iterable[str]) -> str:
    return "\t".join([values[column] for column in columns]) + "\n"


def _unchanged(job: Job, numbered: Numbered) -> str:
    record = numbered.record
    return _line(
        {
            "import_id": job.import_text,
            "sheet_number": str(numbered.sheet_number),
            "row": str(record.row),
            "sheet": _text(record.sheet),
            "outcome": "accepted",
            "effect": "unchanged",
            "changes": _NULL,
            "codes": "{}",
            "masked": _NULL,
        },
        ROW_COLUMNS,
    )


def _outcome(job: Job, numbered: Numbered, row: LedgerRow) -> str:
    masked = json.dumps({"phone": row.phone_invalid}) if row.phone_invalid else None
    values: dict[str, str] = {
        "import_id": job.import_text,
        "sheet_number": str(numbered.sheet_number),
        "row": str(row.row),
        "sheet": _text(row.sheet),
        "outcome": "rejected" if row.rejected else "accepted",
        "effect": _NULL,
        "changes": _NULL,
        "codes": _array(_codes(job, row)),
        "masked": _text(masked),
    }
    return _line(values, ROW_COLUMNS)


def _codes(job: Job, row: LedgerRow) -> tuple[RowCode, ...]:
    if row.village is not None and job.villages.names_another(row.village):
        return (*row.codes, "village.conflicts_with_import")
    return row.codes


def _staged(job: Job, numbered: Numbered, row: LedgerRow, *, entry: bytes) -> str:
    assert row.name is not None
    sealer = job.sealer
    dwelling_key = addresses.address_key(
        job.village_code,
        compound=row.compound,
        building=row.building,
        unit=row.unit,
        room=row.room,
    )
    weak_key = sealer.statement("person", f"{dwelling_key}|{row.name}|{row.birth_date}")
    blind_index = sealer.blind_index(NUMBER, row.id_number) if row.id_number else None
    number = (
        sealer.seal(NUMBER, row.id_number, blind_index=blind_index)
        if row.id_number and blind_index
        else None
    )
    pinyin, initials = names.pinyin(row.name)
    ordinal = str(numbered.ordinal)
    values: dict[str, str] = {
        "import_id": job.import_text,
        "ordinal": ordinal,
        "home_ordinal": ordinal,
        "sheet_number": str(numbered.sheet_number),
        "row": str(row.row),
        "person_key": _bytea(blind_index or weak_key),
        "weak_key": _bytea(weak_key),
        "blind_index": _bytea(blind_index),
        "number": _bytea(number),
        "dwelling_key": _text(dwelling_key),
        "compound": _text(row.compound),
        "building": _text(row.building),
        "unit": _text(row.unit),
        "room": _text(row.room),
        "grid_code": addresses.grid_code(job.village_code, row.grid) or _NULL,
        "name": _text(row.name),
        "name_pinyin": pinyin,
        "name_initials": initials,
        "tenure": row.tenure or _NULL,
        "relation_to_head": row.relation_to_head or _NULL,
        "start_date": str(row.start_date) if row.start_date else _NULL,
        "phones": _array(_sealed_phones(sealer, row.phones)),
        "labels": _array(row.labels),
        "said": _bytea(_said(sealer, row, dwelling_key)),
        "entry": _bytea(entry),
    }
    for field_name in STATED_FIELDS:
        values[field_name] = _text(_stated(row, field_name))
    return _line(values, STAGING_COLUMNS)


def _persons(sealer: Sealer, row: LedgerRow) -> bytes:
    """By what another row, or somebody in the register, may be the same person."""
    by_name = sealer.statement("name", f"{row.name}|{row.birth_date}")
    if row.id_number is None:
        return by_name
    return sealer.blind_index(NUMBER, row.id_number)[: known_rows.PERSON_BYTES] + by_name


def _sealed_phones(sealer: Sealer, phones: Iterable[str]) -> list[str]:
    sealed: list[str] = []
    for phone in phones:
        blind_index = sealer.blind_index(PHONE, phone)
        number = sealer.seal(PHONE, phone, blind_index=blind_index)
        sealed.append(f"{blind_index.hex()}:{number.hex()}")
    return sealed


def _said(sealer: Sealer, row: LedgerRow, dwelling_key: str) -> bytes:
    """A hash per stated field, zeros where the row says nothing, in the order of `STATED`."""
    said = [
        sealer.statement(field_name, text) if (text := _stated(row, field_name)) else _UNSAID
        for field_name in STATED_FIELDS
    ]
    said.append(sealer.statement("phones", ",".join(sorted(row.phones))) if row.phones else _UNSAID)
    lives = f"{dwelling_key}|{row.tenure}|{row.relation_to_head}|{row.start_date}"
    said.append(sealer.statement("occupancy", lives))
    return b"".join(said)


def _stated(row: LedgerRow, field_name: str) -> str | None:
    value: str | date | None = getattr(row, field_name)
    return value.isoformat() if isinstance(value, date) else value


# COPY's text form. Only what people typed needs escaping; codes, hex and dates are ours.


def _text(value: str | None) -> str:
    return _NULL if value is None else value.translate(_ESCAPES)


def _bytea(value: bytes | None) -> str:
    return _NULL if value is None else "\\\\x" + value.hex()


def _array(values: Iterable[str]) -> str:
    inside = ",".join([f'"{value.translate(_QUOTES)}"' for value in values])
    return "{" + inside.translate(_ESCAPES) + "}"
