"""Divisions: loaded from a file of the public statistics codes."""

import csv
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.common.database import WriteSession
from services.residents_api.models import Division
from services.residents_api.repository import states

DIVISIONS = Path(__file__).resolve().parents[1] / "data" / "divisions.csv"


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
