"""Divisions succeeded by others: decided in one transaction, moved in batches.

At once: the former division ends, its compounds, grids and buildings belong to the successors, and
nothing new can be put into it. Then a job moves the dwellings, whoever lives in them, and the
records it keeps, a thousand dwellings at a time, each batch one transaction that tells the
neighbours. A killed job goes on where it stopped: what is moved is not there any more.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from services.common import areas, database, origin
from services.common.areas import VILLAGE_LENGTH, Area, Place
from services.common.clock import Clock, today
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.outbox import Publisher
from services.common.problems import AreaForbidden, RequestInvalid, Text
from services.common.security import Caller
from services.residents_api.domain.addresses import village_name
from services.residents_api.errors import DivisionBusy, DivisionEnded
from services.residents_api.models import (
    Compound,
    Division,
    DivisionSuccession,
    DivisionSuccessor,
    Grid,
    LedgerImport,
)
from services.residents_api.repository import areas as repository
from services.residents_api.repository import compounds as compounds_repository
from services.residents_api.repository import moves, states
from services.residents_api.schemas.areas import (
    DivisionLevel,
    SuccessionCreate,
    SuccessionState,
    Successor,
)
from services.residents_api.service.areas import LAST_SERIAL

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
_LOOK_SECONDS = 2.0
_SERIAL_DIGITS = 3
_LEVELS = {9: DivisionLevel.TOWN, 12: DivisionLevel.VILLAGE}


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which village goes where, and which of its parts go elsewhere."""

    village: Division
    successor: str
    assigned: Mapping[str, str]


async def succeed(
    session: WriteSession,
    row: Division,
    wanted: SuccessionCreate,
    *,
    caller: Caller,
    today: date,
) -> DivisionSuccession:
    """End a division that the caller has locked. Raises AreaForbidden, DivisionEnded, DivisionBusy,
    RequestInvalid.
    """
    if row.parent_code is None or not caller.sees(Place(row.parent_code)):
        raise AreaForbidden()
    if row.valid_to is not None:
        raise DivisionEnded()
    if len(row.code) not in _LEVELS:
        raise _refused(
            "/code",
            "division.not_movable",
            "只有镇（街道）和村（社区）可以撤并",
            "Only towns and villages",
        )
    if wanted.valid_to > today:
        raise _refused("/valid_to", "date.in_future", "日期晚于今天", "The day is still to come")
    if await _is_imported(session, row.code):
        raise DivisionBusy()
    successors = await _successors(session, row, wanted, caller=caller)
    if len(row.code) == VILLAGE_LENGTH:
        assigned = _assigned(wanted, among=set(successors))
        plans = [_Plan(row, wanted.successors[0].code, assigned)]
    else:
        plans = await _villages_of_town(session, row, wanted)
        await _end(session, row, list(successors), on=wanted.valid_to)
    done: list[dict[str, Any]] = [
        await _move_village(session, plan, on=wanted.valid_to) for plan in plans
    ]
    job = DivisionSuccession(
        id=new_id(),
        code=row.code,
        keeper_code=wanted.successors[0].code,
        moves=done,
        requested_by=caller.sub,
    )
    session.add(job)
    await session.flush()
    await session.refresh(job)
    return job


def _refused(pointer: str, code: str, zh: str, en: str) -> Exception:
    return RequestInvalid.at(pointer, code, Text(zh, en))


async def _is_imported(session: ReadSession, code: str) -> bool:
    inside = areas.within([Area.parse(code)], division=LedgerImport.village_code)
    under_way = sa.exists().where(inside, LedgerImport.state.in_(("queued", "running")))
    return bool(await session.scalar(sa.select(under_way)))


async def _successors(
    session: WriteSession, row: Division, wanted: SuccessionCreate, *, caller: Caller
) -> dict[str, Division]:
    found: dict[str, Division] = {}
    for index, said in enumerate(wanted.successors):
        pointer = f"/successors/{index}"
        if len(said.code) != len(row.code) or said.code == row.code or said.code in found:
            raise _refused(
                f"{pointer}/code",
                "division.no_successor",
                "应为同级的另一区划，且不重复",
                "Another division of the same level, each once",
            )
        if not caller.sees(Place(said.code[:-_SERIAL_DIGITS])):
            raise AreaForbidden()
        found[said.code] = await _existing_or_new(session, said, pointer, on=wanted.valid_to)
    return found


async def _existing_or_new(
    session: WriteSession, said: Successor, pointer: str, *, on: date
) -> Division:
    row = await session.get(Division, said.code, with_for_update=True, populate_existing=True)
    if row is not None:
        if row.valid_to is not None:
            raise DivisionEnded()
        return row
    if said.name is None:
        raise _refused(
            f"{pointer}/name", "field.required", "新区划需要名称", "A new one needs a name"
        )
    return await _create(session, said.code, said.name, pointer=f"{pointer}/code", on=on)


async def _create(
    session: WriteSession, code: str, name: str, *, pointer: str, on: date
) -> Division:
    parent = await session.get(Division, code[:-_SERIAL_DIGITS])
    if parent is None or parent.valid_to is not None:
        raise _refused(
            pointer, "division.unknown_parent", "没有上级区划", "There is no such parent"
        )
    row = Division(
        code=code,
        name=name,
        level=_LEVELS[len(code)].value,
        parent_code=parent.code,
        valid_from=on,
    )
    session.add(row)
    await session.flush()
    await states.emit_areas(session, [states.division_state(row)])
    return row


def _assigned(wanted: SuccessionCreate, *, among: set[str]) -> dict[str, str]:
    for index, said in enumerate(wanted.assignments):
        if said.successor_code not in among:
            raise _refused(
                f"/assignments/{index}/successor_code",
                "division.no_successor",
                "不在接收区划之内",
                "None of the successors",
            )
    return {said.area: said.successor_code for said in wanted.assignments}


async def _villages_of_town(
    session: WriteSession, row: Division, wanted: SuccessionCreate
) -> list[_Plan]:
    """A town's villages get codes of the successor: the assigned one, else their own serial, or the
    next free one.
    """
    villages = (
        await session.scalars(
            sa.select(Division)
            .where(Division.parent_code == row.code, Division.valid_to.is_(None))
            .order_by(Division.code)
            .with_for_update()
        )
    ).all()
    assigned = {said.area: said.successor_code for said in wanted.assignments}
    towns = tuple(said.code for said in wanted.successors)
    names = {village.code: village.name for village in villages}
    for index, said in enumerate(wanted.assignments):
        inside = len(said.successor_code) == VILLAGE_LENGTH and said.successor_code.startswith(
            towns
        )
        if said.area not in names or not inside:
            raise _refused(
                f"/assignments/{index}",
                "division.no_successor",
                "应把本镇的村（社区）对应到接收镇的村（社区）编码",
                "A village of the town to a village code of a successor",
            )
    plans: list[_Plan] = []
    for village in villages:
        code = assigned.get(village.code) or await _free_code(session, wanted, village.code)
        target = Successor(code=code, name=village.name)
        await _existing_or_new(session, target, "/assignments", on=wanted.valid_to)
        plans.append(_Plan(village, code, {}))
    return plans


async def _free_code(session: ReadSession, wanted: SuccessionCreate, village: str) -> str:
    town = wanted.successors[0].code
    taken = set(
        await session.scalars(
            sa.select(Division.code).where(areas.within([Area.parse(town)], division=Division.code))
        )
    ) | {said.successor_code for said in wanted.assignments}
    own = int(village[-_SERIAL_DIGITS:])
    for serial in (own, *range(1, LAST_SERIAL + 1)):
        if (code := f"{town}{serial:03}") not in taken:
            return code
    raise _refused("/successors", "division.no_code_left", "编码已用完", "No code is left")


async def _end(session: WriteSession, row: Division, became: Sequence[str], *, on: date) -> None:
    row.valid_to = on
    session.add_all(DivisionSuccessor(code=row.code, successor_code=code) for code in became)
    await session.flush()
    await states.emit_areas(session, [states.division_state(row, became)])


async def _move_village(session: WriteSession, plan: _Plan, *, on: date) -> dict[str, Any]:
    """Compounds, grids and buildings of a village to its successors; what the job has to know."""
    village = plan.village
    assigned = dict(plan.assigned)
    compounds = (
        await session.scalars(
            sa.select(Compound).where(Compound.village_code == village.code).with_for_update()
        )
    ).all()
    before = {str(row.id): row.name for row in compounds}
    for row in compounds:
        target = assigned.pop(str(row.id), plan.successor)
        row.name = await _free_name(session, row.name, village=village, target=target)
        row.village_code = target
        row.version += 1
        await session.flush()
    grids = (
        await session.scalars(
            sa.select(Grid)
            .where(Grid.village_code == village.code, Grid.valid_to.is_(None))
            .order_by(Grid.code)
            .with_for_update()
        )
    ).all()
    renumbered: dict[str, str] = {}
    told = [states.compound_state(row) for row in compounds]
    for grid in grids:
        target = assigned.pop(grid.code, plan.successor)
        successor = await _renumbered(session, grid, target=target)
        renumbered[grid.code] = successor.code
        grid.valid_to, grid.successor_code = on, successor.code
        grid.version += 1
        told += [states.grid_state(successor), states.grid_state(grid)]
    if assigned:
        raise _refused(
            "/assignments",
            "division.unknown_part",
            "有网格或小区不属于该村（社区）",
            "A grid or compound that is none of this village",
        )
    await session.flush()
    await moves.buildings_of(session, village.code, successor=plan.successor, grids=renumbered)
    became = sorted({plan.successor, *plan.assigned.values()})
    await _end(session, village, became, on=on)
    await states.emit_areas(session, told)
    return {
        "code": village.code,
        "successor_code": plan.successor,
        "successors": became,
        "compounds": before,
        "grids": renumbered,
    }


async def _free_name(session: ReadSession, name: str, *, village: Division, target: str) -> str:
    """The compound's name or, where the successor has one of that name, with the village's."""
    taken = set(
        await session.scalars(sa.select(Compound.name).where(Compound.village_code == target))
    )
    for candidate in (name, f"{name}({village_name(village.name)})"):
        if candidate not in taken:
            return candidate
    return f"{name}({village.code})"


async def _renumbered(session: WriteSession, grid: Grid, *, target: str) -> Grid:
    serial = await repository.last_serial(session, target) + 1
    if serial > LAST_SERIAL:
        raise _refused("/successors", "grid.no_serial_left", "网格编号已用完", "No serial is left")
    row = Grid(code=f"{target}{serial:03}", village_code=target, name=grid.name)
    session.add(row)
    await session.flush()
    return row


# The job


async def work(sessions: Sessions, publisher: Publisher, clock: Clock) -> None:
    """For ever: claim the next succession and move what there is. Any number of workers may."""
    while True:
        try:
            while (job_id := await _claim(sessions, clock)) is not None:
                await execute(job_id, sessions, publisher, clock)
        except database.UNREACHABLE as failed:
            # The lease runs out, and somebody goes on where this left off.
            log.warning("succession.interrupted", error=type(failed).__name__)
        await asyncio.sleep(_LOOK_SECONDS)


async def _claim(sessions: Sessions, clock: Clock) -> UUID | None:
    now = clock.now()
    waiting = sa.or_(
        DivisionSuccession.state == SuccessionState.QUEUED.value,
        sa.and_(
            DivisionSuccession.state == SuccessionState.RUNNING.value,
            DivisionSuccession.lease_until < now,
        ),
    )
    next_one = (
        sa.select(DivisionSuccession.id)
        .where(waiting)
        .order_by(DivisionSuccession.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    async with sessions.write() as session:
        return await session.scalar(
            sa.update(DivisionSuccession)
            .where(DivisionSuccession.id == next_one.scalar_subquery())
            .values(state=SuccessionState.RUNNING.value, lease_until=now + LEASE)
            .returning(DivisionSuccession.id)
        )


async def execute(job_id: UUID, sessions: Sessions, publisher: Publisher, clock: Clock) -> None:
    """Move batch after batch until nothing is left, then say so."""
    while True:
        async with sessions.write() as session:
            job = await session.get_one(DivisionSuccession, job_id, with_for_update=True)
            if job.state != SuccessionState.RUNNING.value:
                return
            job.lease_until = clock.now() + LEASE
            await origin.say(
                session, actor=job.requested_by, source=f"succession:{job_id}", at=clock.now()
            )
            left = await _batch(session, job, clock)
            if not left:
                await _finish(session, job, clock)
        await publisher.publish_if_reachable()
        if not left:
            log.info("succession.finished", id=str(job_id))
            return


async def _batch(session: WriteSession, job: DivisionSuccession, clock: Clock) -> bool:
    """Move something, if anything is left."""
    now, on = clock.now(), today(clock)
    for move in job.moves:
        dwellings, people = await moves.dwellings_of(
            session,
            move["code"],
            successor=move["successor_code"],
            grids=move["grids"],
            compounds=move["compounds"],
            now=now,
            today=on,
        )
        job.dwellings_moved += dwellings
        job.residents_moved += people
        if dwellings or people:
            return True
    for code, successor in _keepers(job):
        people = await moves.kept_by(session, code, successor, now=now, today=on)
        job.residents_moved += people
        if people:
            return True
    return False


def _keepers(job: DivisionSuccession) -> Iterator[tuple[str, str]]:
    for move in job.moves:
        yield from move["grids"].items()
        yield move["code"], move["successor_code"]
    yield job.code, job.keeper_code


async def _finish(session: WriteSession, job: DivisionSuccession, clock: Clock) -> None:
    for village in sorted({code for move in job.moves for code in move["successors"]}):
        await compounds_repository.count_people(session, today=today(clock), village_code=village)
    job.state = SuccessionState.SUCCEEDED.value
    job.lease_until = None
    job.finished_at = clock.now()
