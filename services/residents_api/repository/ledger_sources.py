"""What a source said in its last ledger, row by row. `service.ledger.known_rows` says what for."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.common.database import ReadSession, WriteSession
from services.residents_api.models import LedgerSource

# Persons as they are now: key and version. One who has moved out since is looked at again.
_PERSONS = sa.text("""
SELECT coalesce(string_agg(substring(d.blind_index FOR 8) || int4send(r.version), ''::bytea), '')
  FROM ledger_statement s
  JOIN resident r ON r.id = s.resident_id
  JOIN identity_document d ON d.resident_id = r.id
 WHERE s.source = :source
   AND NOT EXISTS (SELECT FROM occupancy o
                    WHERE o.resident_id = r.id AND o.end_date > :day AND o.end_date <= :today)
""").bindparams(sa.bindparam("day", type_=sa.Date), sa.bindparam("today", type_=sa.Date))

# Rows without any remark, of persons with a number who stand in one row. Whom somebody else has
# edited since the import began is not among them: it is not known what was seen of that.
_MERGED = sa.text("""
SELECT coalesce(string_agg(s.entry || int4send(p.version), ''::bytea), '')
  FROM (SELECT *, count(*) OVER (PARTITION BY person_key) AS rows_of_person
          FROM ledger_staging WHERE import_id = :import_id) s
  JOIN ledger_row r ON r.import_id = s.import_id AND r.sheet_number = s.sheet_number
       AND r.row = s.row AND r.codes = '{}'
  JOIN identity_document d ON d.blind_index = s.blind_index
  JOIN resident p ON p.id = d.resident_id AND (p.version = 1 OR p.updated_at < :began)
 WHERE s.rows_of_person = 1
""").bindparams(
    sa.bindparam("import_id", type_=sa.Uuid),
    sa.bindparam("began", type_=sa.DateTime(timezone=True)),
)


async def last_said(
    session: ReadSession, source: str, *, importer_areas: Sequence[str]
) -> tuple[date, bytes] | None:
    """The day of the last ledger and its entries, if it was imported for the same areas."""
    found = await session.scalar(sa.select(LedgerSource).where(LedgerSource.source == source))
    if found is None or sorted(found.importer_areas) != sorted(importer_areas):
        return None
    return found.day, found.entries


async def persons(session: ReadSession, source: str, *, day: date, today: date) -> bytes:
    """Key and version of each person of whom the source has said something."""
    found = await session.scalar(_PERSONS, {"source": source, "day": day, "today": today})
    return bytes(found or b"")


async def merged(session: ReadSession, import_id: UUID, *, began: datetime) -> bytes:
    """The entries of rows that an import has merged, before they leave the staging table."""
    found = await session.scalar(_MERGED, {"import_id": import_id, "began": began})
    return bytes(found or b"")


async def keep(
    session: WriteSession, source: str, *, importer_areas: Sequence[str], day: date, entries: bytes
) -> None:
    """Remember what the source has said, in place of what it said before."""
    values = {"importer_areas": list(importer_areas), "day": day, "entries": entries}
    await session.execute(
        insert(LedgerSource)
        .values(source=source, **values)
        .on_conflict_do_update(index_elements=[LedgerSource.source], set_=values)
    )
