"""Compounds: registered, kept true, and shown."""

import asyncio
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import delete

from services.common import database
from services.common.clock import Clock, today
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.outbox import Publisher
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import names, phones
from services.residents_api.domain.cells import compatible
from services.residents_api.domain.sealing import CONTACT_PHONE, Sealer
from services.residents_api.errors import CompoundNotEmpty
from services.residents_api.models import Compound, CompoundContact
from services.residents_api.repository import compounds as repository
from services.residents_api.repository import placing, states
from services.residents_api.schemas import coordinates
from services.residents_api.schemas.compounds import (
    CompoundCreate,
    CompoundRead,
    CompoundSummary,
    CompoundUpdate,
    Contact,
    ContactRead,
    ContactRevealed,
)
from services.residents_api.service import areas

log = structlog.get_logger(__name__)

_COUNT_EVERY_SECONDS = 1800.0
_FACTS = (
    "address",
    "property_company",
    "committee",
    "risk_level",
    "households_declared",
    "population_declared",
)


async def create(session: WriteSession, sealer: Sealer, wanted: CompoundCreate) -> Compound:
    """Raises RequestInvalid, DivisionEnded, CompoundNameTaken (by constraint)."""
    await areas.current_village(session, wanted.village_code)
    row = Compound(
        id=new_id(),
        village_code=wanted.village_code,
        name=_name(wanted.name),
        **{fact: getattr(wanted, fact) for fact in _FACTS},
        **coordinates.columns(wanted.coordinates),
    )
    session.add(row)
    session.add_all(_contacts(sealer, row, wanted.contacts))
    await session.flush()
    await session.refresh(row)
    await states.emit_areas(session, [states.compound_state(row)])
    return row


async def update(
    session: WriteSession, sealer: Sealer, row: Compound, wanted: CompoundUpdate, *, version: int
) -> Compound:
    """Apply the fields that are present to a row that the caller has locked.

    Raises PreconditionFailed, RequestInvalid, CompoundNameTaken (by constraint).
    """
    check_version(row.version, version)
    said = wanted.model_fields_set
    for fact in said.intersection(_FACTS):
        setattr(row, fact, getattr(wanted, fact))
    if "coordinates" in said:
        for column, value in coordinates.columns(wanted.coordinates).items():
            setattr(row, column, value)
    if "contacts" in said:
        await session.execute(delete(CompoundContact).where(CompoundContact.compound_id == row.id))
        session.add_all(_contacts(sealer, row, wanted.contacts or []))
    if "name" in said:
        if wanted.name is None:
            raise RequestInvalid.at(
                "/name", "field.required", Text("此项不能清空", "This cannot be emptied")
            )
        before, row.name = row.name, _name(wanted.name)
        await session.flush()
        await placing.rename_compound(session, row.id, before=before, name=row.name)
    row.version += 1
    await session.flush()
    await states.emit_areas(session, [states.compound_state(row)])
    return row


async def remove(session: WriteSession, row: Compound, *, version: int) -> None:
    """Delete an empty compound that the caller has locked. Raises CompoundNotEmpty."""
    check_version(row.version, version)
    if await repository.is_used(session, row.id):
        raise CompoundNotEmpty()
    await session.execute(delete(CompoundContact).where(CompoundContact.compound_id == row.id))
    await session.delete(row)


def _name(text: str) -> str:
    # As ledgers are read, so that they mean the same compound.
    return "".join(compatible(text).split()).upper()


def _contacts(sealer: Sealer, compound: Compound, said: Sequence[Contact]) -> list[CompoundContact]:
    rows: list[CompoundContact] = []
    for ordinal, contact in enumerate(said):
        phone, index = None, None
        if contact.phone is not None:
            number = _phone(contact.phone, pointer=f"/contacts/{ordinal}/phone")
            index = sealer.blind_index(CONTACT_PHONE, number)
            phone = sealer.seal(CONTACT_PHONE, number, blind_index=index)
        rows.append(
            CompoundContact(
                compound_id=compound.id,
                id=new_id(),
                ordinal=ordinal,
                role=contact.role,
                name=contact.name,
                phone_index=index,
                phone=phone,
            )
        )
    return rows


def _phone(text: str, *, pointer: str) -> str:
    valid, invalid = phones.split(text)
    if invalid or len(valid) != 1:
        raise RequestInvalid.at(
            pointer, "phone.invalid", Text("不是有效的电话号码", "Not one valid phone number")
        )
    return valid[0]


def summary(row: Compound) -> CompoundSummary:
    values = {name: getattr(row, name) for name in ("id", "name", "village_code", "address")}
    return CompoundSummary.model_validate(values | {"wgs84": coordinates.shown(row)["wgs84"]})


async def shown(session: ReadSession, sealer: Sealer, row: Compound) -> CompoundRead:
    """A compound in full, its contacts masked."""
    contacts = [
        ContactRead(
            id=contact.id,
            role=contact.role,
            name=names.mask(contact.name),
            phone=phones.mask(plain) if (plain := _plain(sealer, contact)) else None,
        )
        for contact in await repository.contacts(session, row.id)
    ]
    values: dict[str, Any] = {name: getattr(row, name) for name in _SHOWN}
    return CompoundRead.model_validate(values | coordinates.shown(row) | {"contacts": contacts})


_SHOWN = tuple(CompoundRead.model_fields.keys() - {"contacts", "coordinates", "wgs84"})


def revealed(sealer: Sealer, contacts: Sequence[CompoundContact]) -> list[ContactRevealed]:
    """Contacts in plain. The caller has written the audit rows in the same transaction."""
    return [
        ContactRevealed(
            id=contact.id, role=contact.role, name=contact.name, phone=_plain(sealer, contact)
        )
        for contact in contacts
    ]


def _plain(sealer: Sealer, contact: CompoundContact) -> str | None:
    if contact.phone is None or contact.phone_index is None:
        return None
    return sealer.open(CONTACT_PHONE, contact.phone, blind_index=contact.phone_index)


# Whichever process comes first counts; the others let it.
_COUNTING = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended('count compounds', 0))")


async def keep_counted(sessions: Sessions, publisher: Publisher, clock: Clock) -> None:
    """For ever: count households and people of all compounds now and then."""
    while True:
        await asyncio.sleep(_COUNT_EVERY_SECONDS)
        try:
            async with sessions.write() as session:
                if await session.scalar(_COUNTING):
                    await repository.count_people(session, today=today(clock))
            await publisher.publish_if_reachable()
        except database.UNREACHABLE as failed:
            log.warning("compounds.not_counted", error=type(failed).__name__)
