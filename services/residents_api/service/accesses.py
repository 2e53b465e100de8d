"""The audit of reading: who read plain values of a person or looked them up, or tried to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from services.common.areas import Area, AreaKind
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.security import Caller
from services.common.telemetry import request_id
from services.residents_api.domain import audit
from services.residents_api.domain.audit import Record
from services.residents_api.domain.sealing import Sealer
from services.residents_api.models import NOBODY, AccessRecord, Resident
from services.residents_api.repository import accesses as repository
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import people


async def record(
    session: WriteSession,
    sealer: Sealer,
    *,
    resident_ids: Sequence[UUID],
    caller: Caller,
    act: str,
    purpose: str,
    fields: Sequence[str],
    outcome: str,
    now: datetime,
) -> None:
    """Keep who read whom, or tried to: in the transaction that shows it."""
    said = {
        "at": now,
        "actor": caller.sub,
        "actor_areas": await _areas(session, caller.areas),
        "act": act,
        "purpose": purpose,
        "fields": list(fields),
        "outcome": outcome,
        "request_id": request_id(),
    }
    rows = [{**said, "resident_id": one, "id": new_id()} for one in resident_ids]
    await session.execute(insert(AccessRecord), [_signed(sealer, row) for row in rows])


def _signed(sealer: Sealer, row: dict[str, Any]) -> dict[str, Any]:
    said = Record(**row)
    purpose = audit.purpose_mac(sealer.audit_key, said.id, said.purpose)
    return row | {"purpose_mac": purpose, "mac": audit.mac(sealer.audit_key, said, purpose)}


async def _areas(session: ReadSession, of: Sequence[Area]) -> list[str]:
    """The codes of areas; a compound's village beside it, for its id does not tell."""
    codes: list[str] = []
    for area in of:
        codes.append(area.code)
        if area.kind is AreaKind.COMPOUND:
            village = await areas_repository.village_of_compound(session, UUID(area.code))
            codes += [village] if village else []
    return codes


async def record_look_up(
    sessions: Sessions,
    sealer: Sealer,
    wanted: people.Wanted,
    *,
    found: Sequence[Resident],
    caller: Caller,
    now: datetime,
) -> None:
    """Keep who looked for whom by number or phone, in a transaction of its own.

    Whom the caller is not shown has been looked for all the same: that stands in their record as
    refused. If it is nobody's number at all, it stands under `NOBODY`.
    """
    if not wanted.exact:
        return
    async with sessions.write() as session:
        shown = [row.id for row in found]
        hidden: Sequence[UUID] = () if shown else await people.holders(session, wanted)
        await record(
            session,
            sealer,
            resident_ids=shown or hidden or [NOBODY],
            caller=caller,
            act="look_up",
            purpose="",
            fields=wanted.exact,
            outcome="granted" if shown else "refused" if hidden else "not_found",
            now=now,
        )


async def adopt(session: WriteSession, sealer: Sealer) -> None:
    """Sign the records from before there was a chain: once, for the first link makes it one."""
    for row in await repository.unsigned(session):
        said = repository.said(row)
        purpose = audit.purpose_mac(sealer.audit_key, said.id, said.purpose)
        row.purpose_mac, row.mac = purpose, audit.mac(sealer.audit_key, said, purpose)
    await session.flush()
