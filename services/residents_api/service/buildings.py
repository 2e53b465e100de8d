"""Buildings and units, and what may not be in a demolished one."""

from datetime import date

from sqlalchemy import delete

from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.domain import dwellings
from services.residents_api.domain.dwellings import Parts
from services.residents_api.errors import (
    BuildingDemolished,
    BuildingInhabited,
    BuildingNotEmpty,
    UnitNotFound,
)
from services.residents_api.models import Building, BuildingUnit, Dwelling
from services.residents_api.repository import buildings as repository
from services.residents_api.schemas.buildings import (
    BuildingCreate,
    BuildingUpdate,
    UnitCreate,
    UnitWrite,
)
from services.residents_api.service import areas

DEMOLISHED = "demolished"
_FACTS = ("floors", "floors_below_ground", "status")


async def create(session: WriteSession, wanted: BuildingCreate, *, today: date) -> Building:
    """Raises RequestInvalid, DivisionEnded, GridEnded, BuildingInhabited, BuildingTaken (by
    constraint).
    """
    village = await areas.current_village(session, wanted.village_code)
    if wanted.compound_id is not None:
        await areas.compound_of(session, wanted.compound_id, village_code=village.code)
    if wanted.grid_code is not None:
        await areas.current_grid(session, wanted.grid_code, village_code=village.code)
    row = Building(
        id=new_id(),
        village_code=village.code,
        grid_code=wanted.grid_code,
        compound_id=wanted.compound_id,
        number=_normal(Parts(building=wanted.number, room="1")).building,
        **{fact: getattr(wanted, fact) for fact in _FACTS},
    )
    await _check_empty(session, row, today=today)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def update(
    session: WriteSession, row: Building, wanted: BuildingUpdate, *, version: int, today: date
) -> Building:
    """Apply the fields that are present to a row that the caller has locked.

    Raises PreconditionFailed, RequestInvalid, GridEnded, BuildingInhabited.
    """
    check_version(row.version, version)
    said = wanted.model_fields_set
    if "status" in said and wanted.status is None:
        raise RequestInvalid.at(
            "/status", "field.required", Text("此项不能清空", "This cannot be emptied")
        )
    if "grid_code" in said:
        if wanted.grid_code is not None:
            await areas.current_grid(session, wanted.grid_code, village_code=row.village_code)
        row.grid_code = wanted.grid_code
    for fact in said.intersection(_FACTS):
        setattr(row, fact, getattr(wanted, fact))
    await _check_empty(session, row, today=today)
    row.version += 1
    return row


async def _check_empty(session: ReadSession, row: Building, *, today: date) -> None:
    if row.status == DEMOLISHED and await repository.is_inhabited(session, row, on=today):
        raise BuildingInhabited()


async def remove(session: WriteSession, row: Building, *, version: int) -> None:
    """Delete an empty building that the caller has locked. Raises BuildingNotEmpty."""
    check_version(row.version, version)
    if await repository.has_dwellings(session, row):
        raise BuildingNotEmpty()
    await session.execute(delete(BuildingUnit).where(BuildingUnit.building_id == row.id))
    await session.delete(row)


async def check_stands(session: ReadSession, dwelling: Dwelling) -> None:
    """Raises BuildingDemolished for a dwelling whose building is no more.

    It cannot be demolished either until the transaction of who asks has ended.
    """
    building = await repository.building_of(session, dwelling)
    if building is not None and building.status == DEMOLISHED:
        raise BuildingDemolished()


async def create_unit(session: WriteSession, row: Building, wanted: UnitCreate) -> BuildingUnit:
    """Raises UnitTaken (by constraint)."""
    unit = BuildingUnit(
        building_id=row.id,
        number=_normal(Parts(building="1", unit=wanted.number, room="1")).unit,
        **wanted.model_dump(exclude={"number"}),
    )
    session.add(unit)
    await session.flush()
    return unit


async def update_unit(
    session: WriteSession, row: Building, number: str, wanted: UnitWrite
) -> BuildingUnit:
    """Raises UnitNotFound."""
    unit = await _unit(session, row, number)
    for name in wanted.model_fields_set:
        setattr(unit, name, getattr(wanted, name))
    await session.flush()
    return unit


async def remove_unit(session: WriteSession, row: Building, number: str) -> None:
    """Raises UnitNotFound."""
    await session.delete(await _unit(session, row, number))


async def _unit(session: WriteSession, row: Building, number: str) -> BuildingUnit:
    found = await session.get(BuildingUnit, (row.id, number), with_for_update=True)
    if found is None:
        raise UnitNotFound()
    return found


def _normal(parts: Parts) -> dwellings.Dwelling:
    """The parts as dwellings call them. Raises RequestInvalid for what is none."""
    located = dwellings.locate(parts)
    if located is None or None in (located.building, located.unit if parts.unit else ""):
        raise RequestInvalid.at(
            "/number", "number.malformed", Text("不是楼栋号或单元号", "Not a number of that kind")
        )
    return located
