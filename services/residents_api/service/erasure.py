"""Erasing one person on request: statistics and the audit stay, and no personal value anywhere.

What is left is a row that says that somebody was kept here, and rows that say that somebody lived
there: counts of the past go on adding up. Who read the person, and who erased them, stays on record.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from services.common.database import WriteSession
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.residents_api.domain import audit
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.errors import ExportUnderWay, LedgerUnderWay
from services.residents_api.models import Resident
from services.residents_api.repository import erasure as repository
from services.residents_api.repository import exports, history, people, states
from services.residents_api.service import accesses

_COUNTRY_CODE = "+86"
# A name of one character stands in many sentences that do not mean the person.
_SHORTEST_NAME = 2


async def erase(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    *,
    reason: str,
    caller: Caller,
    now: datetime,
    today: date,
) -> list[str]:
    """Erase a person whose row the caller has locked, and whoever was merged into it.

    The keys of kept ledgers that may speak of the person: to be deleted once this is committed.
    Raises RequestInvalid for a reason that names the person, LedgerUnderWay, ExportUnderWay.
    """
    ids = await repository.whole(session, row.id)
    said = await _said(session, sealer, ids)
    if _names(reason, said):
        raise RequestInvalid.at(
            "/reason",
            "reason.personal",
            Text(
                "理由会保留在审计记录中，请不要写姓名、证件号或电话",
                "The reason is kept for the audit: without the name, number or phone, please",
            ),
        )
    villages = await repository.villages(session, ids)
    if await repository.imports_at_work(session, villages):
        raise LedgerUnderWay()
    if await exports.any_running(session):
        raise ExportUnderWay()
    # As a reason for reading, somebody may have written the name.
    told = [one for one in await repository.records(session, ids) if _names(one.purpose, said)]
    await repository.reword(session, told)
    for export in await repository.reasons(session):
        if _names(export.reason, said):
            export.reason = ""
    documents = await people.documents(session, ids)
    numbers = [one.blind_index for each in documents.values() for one in each]
    held = await people.phones(session, ids)
    phones = [one.blind_index for each in held.values() for one in each]
    await repository.empty(session, ids, now=now, today=today)
    await repository.empty_around(session, ids, numbers=numbers, phones=phones)
    files = await repository.forget_ledgers(session, villages)
    files += await repository.forget_exports(session, ids)
    await accesses.record(
        session,
        sealer,
        resident_ids=ids,
        caller=caller,
        act=audit.ERASE,
        purpose=reason,
        fields=[],
        outcome=audit.GRANTED,
        now=now,
    )
    await states.emit_residents(session, ids, today=today)
    return files


async def _said(session: WriteSession, sealer: Sealer, ids: Sequence[UUID]) -> set[str]:
    """Name, number and phones, now and before, as somebody might have typed them."""
    found: set[str] = set()
    rows = await history.present(session, history.OF_RESIDENT, ids)
    changes = await history.changes(session, ids, history.OF_RESIDENT)
    for (_, entity, _), values in [*rows.items(), *((c.place, c.old) for c in changes)]:
        if entity == Resident.__tablename__:
            found.add(str(values.get("name") or ""))
        elif "number" in values:
            found.add(_opened(sealer, entity, values["number"], values["blind_index"]))
    plain = {text.removeprefix(_COUNTRY_CODE) for text in found}
    return {text for text in plain if len(text) >= _SHORTEST_NAME}


def _opened(sealer: Sealer, entity: str, number: str, blind_index: str) -> str:
    column = {"identity_document": NUMBER, "phone": PHONE}[entity]
    return sealer.open(column, history.from_hex(number), blind_index=history.from_hex(blind_index))


def _names(text: str, said: Collection[str]) -> bool:
    squeezed = "".join(text.split()).upper()
    return any(value.upper() in squeezed for value in said)
