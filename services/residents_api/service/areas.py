"""Divisions, loaded from a file of the public statistics codes, and grids."""

import csv
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.common.database import ReadSession, WriteSession
from services.common.preconditions import check_version
from services.common.problems import RequestInvalid, Text
from services.residents_api.errors import DivisionEnded, GridEnded, GridNotEmpty
from services.residents_api.models import Compound, Division, Grid
from services.residents_api.repository import areas as repository
from services.residents_api.repository import moves, states
from services.residents_api.schemas.areas import DivisionLevel, GridClose, GridCreate

DIVISIONS = Path(__file__).resolve().parents[1] / "data" / "divisions.csv"
LAST_SERIAL = 999


async def load_divisions(session: WriteSession, path: Path = DIVISIONS) -> int:
    """Load `code,name,level,parent_code`, parents first. Returns how many were new or renamed."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        said = {
            row["code"]: {**row, "parent_code": row["parent_code"] or None}
            for row in csv.DictReader(file)
        }
    known = {row.code: row.name for row in await session.scalars(select(Division))}
    changed = [row for code, row in said.items() if known.get(code) != row["name"]]
    if not changed:
        return 0
    statement = insert(Division)
    rows = await session.scalars(
        statement.on_conflict_do_update(
            index_elements=["code"],
            set_={name: statement.excluded[name] for name in ("name", "level", "parent_code")},
        ).returning(Division),
        changed,
    )
    await states.emit_areas(session, [states.division_state(row) for row in rows])
    return len(changed)


async def current_village(
    session: ReadSession, code: str, *, pointer: str = "/village_code"
) -> Division:
    """The village, which stays what it is until the transaction ends.

    Raises RequestInvalid if there is none, DivisionEnded if others have succeeded it.
    """
    row = await session.get(Division, code, with_for_update={"read": True}, populate_existing=True)
    if row is None or row.level != DivisionLevel.VILLAGE.value:
        raise RequestInvalid.at(
            pointer, "division.unknown", Text("没有这个村（社区）", "No such village")
        )
    if row.valid_to is not None:
        raise DivisionEnded()
    return row


async def current_grid(session: ReadSession, code: str, *, village_code: str) -> Grid:
    """A grid to put something of the village into. Raises RequestInvalid, GridEnded."""
    row = await session.get(Grid, code, with_for_update={"read": True}, populate_existing=True)
    if row is None or row.village_code != village_code:
        raise RequestInvalid.at(
            "/grid_code", "grid.unknown", Text("该村（社区）没有这个网格", "No such grid there")
        )
    if row.valid_to is not None:
        raise GridEnded()
    return row


async def compound_of(session: ReadSession, compound_id: UUID, *, village_code: str) -> Compound:
    """A compound to put something of the village into. Raises RequestInvalid."""
    row = await session.get(
        Compound, compound_id, with_for_update={"read": True}, populate_existing=True
    )
    if row is None or row.village_code != village_code:
        raise RequestInvalid.at(
            "/compound_id",
            "compound.unknown",
            Text("该村（社区）没有这个小区", "No such compound there"),
        )
    return row


async def create_grid(session: WriteSession, wanted: GridCreate) -> Grid:
    """Raises RequestInvalid, DivisionEnded, GridTaken (by constraint)."""
    village = await current_village(session, wanted.village_code)
    serial = wanted.serial or await repository.last_serial(session, village.code) + 1
    if serial > LAST_SERIAL:
        raise RequestInvalid.at(
            "/serial", "grid.no_serial_left", Text("网格编号已用完", "No serial is left")
        )
    row = Grid(code=f"{village.code}{serial:03}", village_code=village.code, name=wanted.name)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await states.emit_areas(session, [states.grid_state(row)])
    return row


async def rename_grid(session: WriteSession, row: Grid, name: str | None, *, version: int) -> Grid:
    """Rename a grid that the caller has locked. Raises PreconditionFailed, GridEnded."""
    check_version(row.version, version)
    if row.valid_to is not None:
        raise GridEnded()
    row.name = name
    row.version += 1
    await session.flush()
    await states.emit_areas(session, [states.grid_state(row)])
    return row


async def close_grid(
    session: WriteSession, row: Grid, wanted: GridClose, *, now: datetime, today: date
) -> Grid:
    """Close a grid that the caller has locked; its successor takes over what it contains.

    Raises GridEnded, GridNotEmpty, RequestInvalid.
    """
    if row.valid_to is not None:
        raise GridEnded()
    if wanted.successor_code is not None:
        if wanted.successor_code == row.code:
            raise RequestInvalid.at(
                "/successor_code", "grid.succeeds_itself", Text("不能并入自身", "Not into itself")
            )
        successor = await current_grid(
            session, wanted.successor_code, village_code=row.village_code
        )
        await moves.into_grid(session, row.code, successor.code, now=now, today=today)
    elif await repository.grid_is_used(session, row.code):
        raise GridNotEmpty()
    row.valid_to = wanted.valid_to
    row.successor_code = wanted.successor_code
    row.version += 1
    await session.flush()
    await states.emit_areas(session, [states.grid_state(row)])
    return row
