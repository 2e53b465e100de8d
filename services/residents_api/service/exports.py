"""Exports of ledgers: asked for, approved by a second person, made in the background, kept for a day."""

import asyncio
import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from services.common import database, telemetry
from services.common.areas import Area, AreaKind, Place, place_of
from services.common.clock import SHANGHAI, Clock, today
from services.common.database import Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.security import Caller
from services.residents_api.domain import audit
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.sealing import NUMBER, PHONE, SealBroken, Sealer
from services.residents_api.errors import ApproverIsRequester, ExportNotWaiting, ExportUnavailable
from services.residents_api.models import NOBODY, LedgerExport
from services.residents_api.repository import exports as repository
from services.residents_api.schemas.exports import (
    ExportColumn,
    ExportCreate,
    ExportFormat,
    ExportState,
)
from services.residents_api.service import accesses
from services.residents_api.service.ledger import books
from services.residents_api.service.ledger.keeping import LedgerStore

log = structlog.get_logger(__name__)

# Beside the ledgers that came in, for the same who look after them.
DIRECTORY = "exports"
ACT = "export"
KEEP = timedelta(hours=24)
_LEASE = timedelta(seconds=120)
_LOOK_SECONDS = 1.0
_SWEEP_EVERY = timedelta(minutes=10)
_STRAY_AFTER = timedelta(hours=1)
_RECORDS_AT_ONCE = 2_000
_ROWS_OF_A_SHEET = 1_000_000

HEADINGS: Mapping[ExportColumn, str] = {
    ExportColumn.VILLAGE: "村（社区）",
    ExportColumn.GRID: "网格",
    ExportColumn.COMPOUND: "小区",
    ExportColumn.BUILDING: "楼栋",
    ExportColumn.UNIT: "单元",
    ExportColumn.ROOM: "房号",
    ExportColumn.RELATION_TO_HEAD: "与户主关系",
    ExportColumn.NAME: "姓名",
    ExportColumn.SEX: "性别",
    ExportColumn.ETHNICITY: "民族",
    ExportColumn.ID_NUMBER: "身份证号码",
    ExportColumn.BIRTH_DATE: "出生日期",
    ExportColumn.PHONES: "联系电话",
    ExportColumn.EDUCATION: "文化程度",
    ExportColumn.MARITAL_STATUS: "婚姻状况",
    ExportColumn.POLITICAL_STATUS: "政治面貌",
    ExportColumn.OCCUPATION: "职业",
    ExportColumn.EMPLOYER: "工作单位",
    ExportColumn.REGISTERED_ADDRESS: "户籍地址",
    ExportColumn.POPULATION_TYPE: "人口类型",
    ExportColumn.TENURE: "居住类型",
    ExportColumn.START_DATE: "入住时间",
    ExportColumn.LABELS: "标签",
    ExportColumn.NOTE: "备注",
}
# What a spreadsheet would run. Its own mark of a text keeps it one; an import takes it off again.
_RUNS = ("=", "+", "-", "@", "\t", "\r")


class Taken(Exception):
    """Somebody else has taken the export over."""


async def ask(
    session: WriteSession,
    wanted: ExportCreate,
    *,
    areas: Sequence[Area],
    village_code: str | None,
    approval_over: int,
    caller: Caller,
    clock: Clock,
) -> LedgerExport:
    """Put an export into the queue, or before the second person who has to approve it."""
    residents = await repository.count(session, areas, on=today(clock))
    asked = Area.parse(wanted.area)
    chosen = wanted.columns or list(ExportColumn)
    job = LedgerExport(
        id=new_id(),
        state=(
            ExportState.WAITING_APPROVAL if residents > approval_over else ExportState.QUEUED
        ).value,
        area=asked.code,
        division_code=place_of(asked, village_code=village_code).division_code,
        areas=[area.code for area in areas],
        format=wanted.format.value,
        columns=[column.value for column in ExportColumn if column in chosen],
        reason=wanted.reason,
        requester=caller.sub,
        requester_areas=[area.code for area in caller.areas],
        residents=residents,
        created_at=clock.now(),
    )
    session.add(job)
    await session.flush()
    await session.refresh(job)
    return job


def place(job: LedgerExport) -> Place:
    """What somebody has to see to see the export."""
    asked = Area.parse(job.area)
    village = job.division_code if asked.kind is AreaKind.COMPOUND else None
    return place_of(asked, village_code=village)


async def approve(session: WriteSession, job: LedgerExport, caller: Caller) -> LedgerExport:
    """Raises ApproverIsRequester, ExportNotWaiting."""
    job = await session.get_one(LedgerExport, job.id, with_for_update=True, populate_existing=True)
    if job.requester == caller.sub:
        raise ApproverIsRequester()
    if job.state != ExportState.WAITING_APPROVAL:
        raise ExportNotWaiting()
    job.state, job.approver = ExportState.QUEUED.value, caller.sub
    return job


@dataclass(frozen=True, slots=True)
class Exporter:
    """What making files needs of the service it runs in."""

    sessions: Sessions
    clock: Clock
    sealer: Sealer
    store: LedgerStore

    async def file(self, job: LedgerExport, caller: Caller) -> IO[bytes]:
        """The plain file; that somebody took it stands in the audit. Raises ExportUnavailable."""
        if job.state != ExportState.SUCCEEDED:
            raise ExportUnavailable()
        try:
            async with self.store.opened(job.id, job.file_key) as path:
                file = await asyncio.to_thread(path.open, "rb")
        except (FileNotFoundError, SealBroken):
            raise ExportUnavailable() from None
        async with self.sessions.write() as session:
            await self._record(session, job, caller, [NOBODY])
        return file

    async def make_next(self) -> bool:
        """Make the file of the next export; whether there was one."""
        now = self.clock.now()
        async with self.sessions.write() as session:
            job = await repository.claim(session, now=now, until=now + _LEASE)
        if job is None:
            return False
        try:
            await self._make(job)
        except Taken:
            log.warning("export.taken_over", export_id=str(job.id))
        except database.UNREACHABLE:
            raise  # the lease runs out, and somebody begins again
        except Exception as unforeseen:  # noqa: BLE001 - whatever it is, it ends this export only
            telemetry.log_unforeseen(unforeseen)
            await self._end(job.id, state=ExportState.FAILED, failure="internal.error")
        return True

    async def _make(self, job: LedgerExport) -> None:
        assert job.lease_until is not None
        lease = job.lease_until
        within = [Area.parse(area) for area in job.areas]
        columns = [ExportColumn(column) for column in job.columns]
        exported: dict[UUID, None] = {}
        async with self.store.workplace() as work:
            target = work / f"ledger.{job.format}"
            writer = _Writer(target, work, columns, _watermark(job, self.clock.now()), job)
            with writer:
                async with self.sessions.write() as session:
                    rows = repository.ledger(session, within, on=today(self.clock))
                    async for some in rows:
                        await asyncio.to_thread(self._write, writer, some, columns)
                        exported.update(dict.fromkeys(row.Resident.id for row in some))
                        lease = await self._renewed(job.id, lease)
                await asyncio.to_thread(writer.end)
            content = await asyncio.to_thread(target.read_bytes)
        lease = await self._renewed(job.id, lease)
        # A file of that name is one that somebody killed has left.
        await self.store.delete(f"{job.id}.sealed")
        key = await self.store.keep(job.id, content)
        requester = Caller(
            sub=job.requester,
            roles=frozenset(),
            areas=tuple(Area.parse(area) for area in job.requester_areas),
            permissions=frozenset(),
        )
        async with self.sessions.write() as session:
            if not await repository.renew(session, job.id, lease=lease, until=lease):
                raise Taken
            ids = list(exported)
            for first in range(0, len(ids), _RECORDS_AT_ONCE):
                await self._record(session, job, requester, ids[first : first + _RECORDS_AT_ONCE])
            ended = await session.get_one(LedgerExport, job.id, populate_existing=True)
            ended.state, ended.file_key = ExportState.SUCCEEDED.value, key
            ended.residents, ended.lease_until = len(ids), None
            ended.finished_at = self.clock.now()
        log.info("export.finished", export_id=str(job.id))

    def _write(
        self, writer: "_Writer", rows: Sequence[Row[Any]], columns: Sequence[ExportColumn]
    ) -> None:
        for row in rows:
            said = _said(self.sealer, row)
            writer.row([said[column] for column in columns])

    async def _renewed(self, export_id: UUID, lease: datetime) -> datetime:
        until = self.clock.now() + _LEASE
        async with self.sessions.write() as session:
            if not await repository.renew(session, export_id, lease=lease, until=until):
                raise Taken
        return until

    async def _record(
        self, session: WriteSession, job: LedgerExport, caller: Caller, ids: Sequence[UUID]
    ) -> None:
        await accesses.record(
            session,
            self.sealer,
            resident_ids=ids,
            caller=caller,
            act=ACT,
            # The reason stands once, in the export: erasing a person may have to take it away.
            purpose=f"export:{job.id}",
            fields=job.columns,
            outcome=audit.GRANTED,
            now=self.clock.now(),
        )

    async def _end(self, export_id: UUID, *, state: ExportState, failure: str | None) -> None:
        async with self.sessions.write() as session:
            job = await session.get_one(LedgerExport, export_id, with_for_update=True)
            if job.state == ExportState.RUNNING:
                job.state, job.failure, job.lease_until = state.value, failure, None
                job.finished_at = self.clock.now()

    async def sweep(self) -> None:
        """Delete files after a day, and what killed processes have left."""
        now = self.clock.now()
        async with self.sessions.write() as session:
            for job in await repository.to_expire(session, finished_before=now - KEEP):
                await self.store.delete(job.file_key or f"{job.id}.sealed")
                job.state, job.file_key = ExportState.EXPIRED.value, ""
                job.finished_at = job.finished_at or now
        async with self.sessions.read() as session:
            named = await repository.file_keys(session)
        for key in await self.store.keys(before=datetime.now(SHANGHAI) - _STRAY_AFTER):
            if key not in named:
                await self.store.delete(key)
        await self.store.sweep(before=datetime.now(SHANGHAI) - _STRAY_AFTER)


async def work(exporter: Exporter) -> None:
    """For ever: make what is asked for. Any number of workers may do this."""
    swept: datetime | None = None
    while True:
        try:
            if await exporter.make_next():
                continue
            now = exporter.clock.now()
            if swept is None or now - swept >= _SWEEP_EVERY:
                await exporter.sweep()
                swept = now
        except database.UNREACHABLE as failed:
            log.warning("export.interrupted", error=type(failed).__name__)
        await asyncio.sleep(_LOOK_SECONDS)


def _watermark(job: LedgerExport, at: datetime) -> str:
    when = at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
    return f"{job.requester} 于 {when} 导出，编号 {job.id}"


def _said(sealer: Sealer, row: Row[Any]) -> dict[ExportColumn, str]:
    """What a row says in each column, in the words that an import reads."""
    person, lives = row.Resident, row.Occupancy
    number = sealer.open(NUMBER, row.number, blind_index=row.number_index) if row.number else ""
    phones = [
        sealer.open(PHONE, sealed, blind_index=index)
        for sealed, index in zip(row.phones or (), row.phone_indexes or (), strict=True)
    ]
    said: dict[str, Any] = {
        "village": row.village,
        "grid": lives.grid_code,
        "compound": row.compound,
        "building": row.building,
        "unit": row.unit,
        "room": row.room,
        "id_number": number,
        "phones": "、".join(map(_dialled, phones)),
        "labels": "、".join(row.labels or ()),
    }
    found: dict[ExportColumn, str] = {}
    for column in ExportColumn:
        if column in said:
            value = said[column]
        else:
            value = getattr(lives if column in _OF_OCCUPANCY else person, column.value)
        found[column] = _written(column, value)
    return found


_OF_OCCUPANCY = {ExportColumn.RELATION_TO_HEAD, ExportColumn.TENURE, ExportColumn.START_DATE}


def _written(column: ExportColumn, value: Any) -> str:
    if value is None:
        return ""
    if column in CODE_LISTS:
        names = {entry.code: entry.name_zh for entry in CODE_LISTS[column].entries}
        return names.get(value) or str(value)
    return str(value)


def _dialled(phone: str) -> str:
    """As one dials it at home; numbers from abroad keep their country."""
    national = phone.removeprefix("+86")
    if national == phone or (len(national) == 11 and national.startswith("1")):
        return national
    return f"0{national}"


class _Writer:
    """The file, row by row: a line that says who has exported it stands above and below."""

    def __init__(
        self,
        target: Path,
        work: Path,
        columns: Sequence[ExportColumn],
        mark: str,
        job: LedgerExport,
    ) -> None:
        self._open = ExitStack()
        self._headings = [HEADINGS[column] for column in columns]
        self._mark = mark
        self._rows = 0
        self._page: books.Page | None = None
        self._book: books.Book | None = None
        if job.format == ExportFormat.XLSX:
            self._book = self._open.enter_context(books.written(target, place=work))
            self._book.set_properties(
                {"title": "居民台账", "author": job.requester, "comments": mark}
            )
        else:
            file = self._open.enter_context(target.open("w", encoding="utf-8-sig", newline=""))
            self._csv = csv.writer(file)
        self._begin()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.close()

    def _begin(self) -> None:
        if self._book is not None:
            self._page, self._rows = self._book.add_worksheet(), 0
        self._line([f"居民台账（{self._mark}）"])
        self._line(self._headings)

    def row(self, cells: Sequence[str]) -> None:
        if self._book is not None and self._rows >= _ROWS_OF_A_SHEET:
            self._begin()
        self._line(cells)

    def end(self) -> None:
        self._line([f"说明：{self._mark}"])
        self._open.close()

    def _line(self, cells: Sequence[str]) -> None:
        if self._page is None:
            self._csv.writerow([f"'{cell}" if cell.startswith(_RUNS) else cell for cell in cells])
        else:
            for column, cell in enumerate(cells):
                if cell:
                    self._page.write_string(self._rows, column, books.storable(cell))
        self._rows += 1
