"""Dwellings: registered at an address, placed in areas, described."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete

from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import dwellings
from services.residents_api.domain.addresses import address_key, standard_address
from services.residents_api.domain.dwellings import Parts
from services.residents_api.errors import DwellingNotEmpty
from services.residents_api.models import Compound, Dwelling, DwellingAddress
from services.residents_api.repository import areas as areas_repository
from services.residents_api.repository import housing as repository
from services.residents_api.repository import placing
from services.residents_api.schemas import coordinates
from services.residents_api.schemas.dwellings import DwellingCreate, DwellingRead, DwellingUpdate
from services.residents_api.service import areas, buildings

_FACTS = ("use", "floor_area")
_ADDRESS = ("compound_id", "building", "unit", "room")


async def create(session: WriteSession, wanted: DwellingCreate) -> Dwelling:
    """Raises RequestInvalid, DivisionEnded, GridEnded, BuildingDemolished, AddressTaken (by
    constraint).
    """
    village = await areas.current_village(session, wanted.division_code, pointer="/division_code")
    row = Dwelling(
        id=new_id(),
        division_code=village.code,
        **{fact: getattr(wanted, fact) for fact in _FACTS},
        **coordinates.columns(wanted.coordinates),
    )
    key = await _put_at(session, row, {name: getattr(wanted, name) for name in _ADDRESS})
    await _put_into_grid(session, row, wanted.grid_code)
    await buildings.check_stands(session, row)
    session.add(row)
    session.add(DwellingAddress(key=key, dwelling_id=row.id))
    await session.flush()
    await session.refresh(row)
    return row


async def update(
    session: WriteSession,
    row: Dwelling,
    wanted: DwellingUpdate,
    *,
    version: int,
    now: datetime,
    today: date,
) -> Dwelling:
    """Apply the fields that are present. Whoever lives there follows into another grid or compound.

    Raises PreconditionFailed, RequestInvalid, GridEnded, BuildingDemolished, AddressTaken (by
    constraint).
    """
    # People before the dwelling: in this order imports lock them too.
    await placing.lock_people(session, [row.id])
    await session.refresh(row, with_for_update=True)
    check_version(row.version, version)
    said = wanted.model_fields_set
    for fact in said.intersection(_FACTS):
        setattr(row, fact, getattr(wanted, fact))
    if "coordinates" in said:
        for column, value in coordinates.columns(wanted.coordinates).items():
            setattr(row, column, value)
    if "grid_code" in said:
        await _put_into_grid(session, row, wanted.grid_code)
    if said.intersection(_ADDRESS):
        await _readdress(session, row, wanted)
    row.version += 1
    await session.flush()
    await placing.follow(session, [row.id], now=now, today=today)
    return row


async def _readdress(session: WriteSession, row: Dwelling, wanted: DwellingUpdate) -> None:
    before = await _key(session, row)
    present = {name: getattr(row, name) for name in _ADDRESS}
    said = {name: getattr(wanted, name) for name in wanted.model_fields_set.intersection(_ADDRESS)}
    key = await _put_at(session, row, present | said)
    await buildings.check_stands(session, row)
    if key != before:
        await _forget(session, row, before)
        session.add(DwellingAddress(key=key, dwelling_id=row.id))
        await session.flush()


async def remove(session: WriteSession, row: Dwelling, *, version: int) -> None:
    """Delete a dwelling, locked by the caller, in which nobody ever lived.

    Raises PreconditionFailed, DwellingNotEmpty.
    """
    check_version(row.version, version)
    if await repository.has_occupancies(session, row.id):
        raise DwellingNotEmpty()
    await _forget(session, row, await _key(session, row))
    await session.delete(row)


async def _forget(session: WriteSession, row: Dwelling, key: str) -> None:
    await session.execute(
        delete(DwellingAddress).where(
            DwellingAddress.key == key, DwellingAddress.dwelling_id == row.id
        )
    )


async def _put_at(session: ReadSession, row: Dwelling, said: dict[str, Any]) -> str:
    """Write the address in normal form into the row; its key."""
    compound = await _compound(session, said["compound_id"], row.division_code)
    name = compound.name if compound else ""
    parts = {level: said[level] or "" for level in ("building", "unit", "room")}
    located = dwellings.locate(Parts(compound=name, **parts))
    if located is None:
        raise RequestInvalid.at(
            "/room",
            "dwelling.missing",
            Text("请填写楼栋、单元和房号", "Say at least the room or, in the country, the house"),
        )
    row.compound_id = compound.id if compound else None
    row.building, row.unit, row.room = located.building, located.unit, located.room
    return _key_of(row, name or None)


async def _compound(
    session: ReadSession, compound_id: UUID | None, village_code: str
) -> Compound | None:
    if compound_id is None:
        return None
    return await areas.compound_of(session, compound_id, village_code=village_code)


async def _key(session: ReadSession, row: Dwelling) -> str:
    compound = await session.get(Compound, row.compound_id) if row.compound_id else None
    return _key_of(row, compound.name if compound else None)


def _key_of(row: Dwelling, compound: str | None) -> str:
    return address_key(
        row.division_code, compound=compound, building=row.building, unit=row.unit, room=row.room
    )


async def _put_into_grid(session: ReadSession, row: Dwelling, grid_code: str | None) -> None:
    if grid_code is not None:
        await areas.current_grid(session, grid_code, village_code=row.division_code)
    row.grid_code = grid_code


async def shown(session: ReadSession, rows: Sequence[Dwelling]) -> list[DwellingRead]:
    """Dwellings with their standardised addresses: two queries more, however many."""
    if not rows:
        return []
    divisions = await areas_repository.division_names(session, {row.division_code for row in rows})
    ids = {row.compound_id for row in rows if row.compound_id}
    compounds = await repository.compound_names(session, ids)
    return [
        DwellingRead.model_validate(
            {name: getattr(row, name) for name in _SHOWN}
            | coordinates.shown(row)
            | {
                "address": standard_address(
                    divisions[row.division_code],
                    compound=compounds.get(row.compound_id) if row.compound_id else None,
                    building=row.building,
                    unit=row.unit,
                    room=row.room,
                )
            }
        )
        for row in rows
    ]


_SHOWN = tuple(DwellingRead.model_fields.keys() - {"address", "coordinates", "wgs84"})
