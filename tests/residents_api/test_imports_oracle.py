"""Random ledgers: what SQL makes of them is what plain Python says of them."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as running
from hypothesis import strategies as st

from services.common import clock as clocks
from services.common.database import Sessions
from services.residents_api.domain import addresses
from services.residents_api.domain.ledger import LedgerRow, check, open_ledger, records
from services.residents_api.domain.sealing import NUMBER, PHONE
from services.residents_api.models import STATED_FIELDS, LedgerImport
from services.residents_api.service import imports
from services.residents_api.service.ledger.engine import Engine
from services.residents_api.settings import Settings
from tests.conftest import FixedClock
from tests.residents_api import ledgers
from tests.residents_api.domain.folding import Person, duplicates, fold
from tests.residents_api.people import VILLAGE, number

_TABLES = (
    *("resident", "identity_document", "phone", "resident_label", "occupancy", "dwelling"),
    *("dwelling_address", "compound", "grid", "ledger_statement", "ledger_import", "ledger_row"),
    *("ledger_staging", "outbox"),
)
_BIRTHS = ("1990-05-01", "1985-12-31")


def _maybe(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(("", *texts))


@st.composite
def _rows(draw: st.DrawFn) -> ledgers.Person:
    """A row about one of few people in one of few dwellings, so that they meet."""
    born = draw(st.sampled_from(_BIRTHS))
    sequence = draw(st.integers(0, 3))
    compound, building = draw(
        st.sampled_from((("金沙小区", "1"), ("金沙小区", "2栋"), ("清泉花园", "1"), ("", "2组")))
    )
    return {
        "compound": compound,
        "building": building,
        "unit": "1" if compound else "",
        "room": draw(st.sampled_from(("101", "102"))),
        "name": draw(st.sampled_from(("张三", "张三", "李四", "王五", ""))),
        "id_number": number(born, sequence) if sequence else draw(_maybe("", "", "5199")),
        "birth_date": born if draw(st.booleans()) or not sequence else "",
        "sex": draw(_maybe("男", "女")),
        "grid": draw(_maybe("1", "第二网格")),
        "relation_to_head": draw(_maybe("户主", "配偶")),
        "phones": draw(_maybe("13800000001", "13800000002、13800000001", "13800000003", "12")),
        "education": draw(_maybe("小学", "本科", "瞎写")),
        "occupation": draw(_maybe("农民", "木匠")),
        "employer": draw(_maybe("甲厂", "乙厂")),
        "note": draw(_maybe("甲", "乙\n丙")),
        "population_type": draw(_maybe("户籍", "流动")),
        "tenure": draw(_maybe("自有", "租住")),
        "start_date": draw(_maybe("2001-01-01", "2015年3月")),
        "labels": draw(_maybe("党员", "志愿者、党员", "退役军人")),
    }


_files = st.lists(_rows(), min_size=1, max_size=14)


@dataclass(frozen=True)
class Importer:
    """Imports files one after the other into a register that can be emptied."""

    engine: Engine
    sessions: Sessions
    path: Path
    clock: FixedClock

    async def run(self, file: list[ledgers.Person]) -> LedgerImport:
        self.path.write_bytes(ledgers.text(*file))
        job = await imports.run_file(
            self.engine,
            self.path,
            village_code=VILLAGE,
            importer="test",
            importer_areas=[VILLAGE],
        )
        assert (job.state, job.failure) == ("succeeded", None)
        return job

    def read(self) -> list[LedgerRow]:
        today = clocks.today(self.clock)
        return [check(record, today=today) for record in records(open_ledger(self.path))]

    async def empty(self) -> None:
        async with self.sessions.write() as session:
            await session.execute(sa.text(f"TRUNCATE {', '.join(_TABLES)}"))

    async def rows(self, statement: str) -> list[Any]:
        async with self.sessions.read() as session:
            return list(await session.execute(sa.text(statement)))


@pytest.fixture
async def importer(
    settings: Settings, sessions: Sessions, tmp_path: Path, clock: FixedClock
) -> AsyncGenerator[Importer]:
    async with imports.own_engine(settings, clock=clock) as engine:
        yield Importer(engine, sessions, tmp_path / "ledger.csv", clock)


async def _registered(importer: Importer) -> Counter[Any]:
    """Everybody in the register, whole."""
    sealer = importer.engine.sealer
    fields = ", ".join(f"r.{name}" for name in ("name", *STATED_FIELDS))
    people = {
        row.id: [tuple(row)[1:], None, [], set(), set()]
        for row in await importer.rows(f"SELECT r.id, {fields} FROM resident r")  # noqa: S608
    }
    for row in await importer.rows("SELECT * FROM identity_document"):
        assert people[row.resident_id][1] is None, "two numbers of one person"
        people[row.resident_id][1] = sealer.open(NUMBER, row.number, blind_index=row.blind_index)
    for row in await importer.rows("SELECT * FROM phone ORDER BY resident_id, ordinal"):
        phone = sealer.open(PHONE, row.number, blind_index=row.blind_index)
        people[row.resident_id][2].append(phone)
    for row in await importer.rows("SELECT * FROM resident_label"):
        people[row.resident_id][3].add(row.label)
    for row in await importer.rows(
        "SELECT o.resident_id, c.name, d.building, d.unit, d.room, o.tenure, o.relation_to_head,"
        " o.start_date FROM occupancy o JOIN dwelling d ON d.id = o.dwelling_id"
        " AND (d.division_code, d.grid_code, d.compound_id) IS NOT DISTINCT FROM"
        " (o.division_code, o.grid_code, o.compound_id)"
        " LEFT JOIN compound c ON c.id = d.compound_id WHERE o.state = 'approved'"
    ):
        people[row.resident_id][4].add(tuple(row)[1:])
    return Counter(_frozen(*person) for person in people.values())


def _frozen(values: Any, own: Any, phones: Any, labels: Any, homes: Any) -> Any:
    return values, own, tuple(phones), frozenset(labels), frozenset(homes)


def _said(person: Person) -> Any:
    homes = {
        (
            *(home.dwelling.compound, home.dwelling.building, home.dwelling.unit),
            *(home.dwelling.room, home.tenure, home.relation_to_head, home.start_date),
        )
        for home in person.occupancies
    }
    values = tuple(getattr(person, name) for name in ("name", *STATED_FIELDS))
    return _frozen(values, person.id_number, person.phones, person.labels, homes)


@running(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(file=_files)
async def test_an_empty_register_holds_what_the_ledger_says(
    importer: Importer, file: list[ledgers.Person]
) -> None:
    await importer.empty()
    job = await importer.run(file)
    rows = importer.read()
    accepted = [row for row in rows if not row.rejected]
    expected = fold(rows)
    assert await _registered(importer) == Counter(map(_said, expected))
    grids = {}
    for row in accepted:
        if grid := addresses.grid_code(VILLAGE, row.grid):
            grids[row.dwelling] = grid
    assert Counter(
        tuple(row)
        for row in await importer.rows(
            "SELECT c.name, d.building, d.unit, d.room, d.grid_code FROM dwelling d"
            " LEFT JOIN compound c ON c.id = d.compound_id"
        )
    ) == Counter(
        (home.compound, home.building, home.unit, home.room, grids.get(home))
        for home in {row.dwelling for row in accepted}
    )
    marked = await importer.rows(
        "SELECT sheet, row FROM ledger_row WHERE 'row.duplicate' = ANY(codes)"
    )
    assert {tuple(row) for row in marked} == duplicates(rows)
    assert (job.rows_total, job.rows_accepted) == (len(rows), len(accepted))
    assert job.residents_created == len(expected)
    assert job.dwellings_created == len({row.dwelling for row in accepted})
    assert job.occupancies_created == sum(len(person.occupancies) for person in expected)
    before = await _registered(importer)
    again = await importer.run(file)
    assert (again.residents_created, again.residents_updated) == (0, 0)
    assert again.residents_unchanged == len(expected)
    assert await _registered(importer) == before


@running(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.lists(_files, min_size=2, max_size=3))
async def test_one_ledger_after_another_is_taken_once(
    importer: Importer, files: list[list[ledgers.Person]]
) -> None:
    await importer.empty()
    numbers: set[str] = set()
    for file in files:
        job = await importer.run(file)
        said = fold(importer.read())
        numbers |= {person.id_number for person in said if person.id_number}
        counted = job.residents_created + job.residents_updated + job.residents_unchanged
        # The register may know that two of them are one, and never more of them than there are.
        assert {person.id_number for person in said if person.id_number} <= numbers
        assert len({person.id_number for person in said} - {None}) <= counted <= len(said)
        before = await _registered(importer)
        assert {person[1] for person in before} - {None} == numbers
        again = await importer.run(file)
        assert (again.residents_created, again.residents_updated) == (0, 0)
        assert again.residents_unchanged == counted
        assert await _registered(importer) == before
        for row in await importer.rows(
            "SELECT count(*), count(DISTINCT (resident_id, dwelling_id)) FROM occupancy"
        ):
            assert row[0] == row[1]
