"""What was, who changed it, and what no way of writing can go past."""

from collections.abc import AsyncGenerator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.residents_api.models import Dwelling, Occupancy, Resident
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api import ledgers
from tests.residents_api.homes import dwelling_of, moved_in, moved_out
from tests.residents_api.ledgers import all_items
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    changed,
    fault,
    number,
    refusal,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")

NUMBER = number("1990-05-01", 2)
OTHER_NUMBER = number("1990-05-01", 4)
DAY = timedelta(days=1)
# The tests move the clock: tokens outlive it.
LATER = 4102444800


@pytest.fixture
async def worker(register: App) -> AsyncGenerator[httpx.AsyncClient]:
    async with register.as_role(
        Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker", exp=LATER
    ) as client:
        yield client


async def history(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    return [item async for item in all_items(client, f"/v1/{path}/history", **params)]


def told(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(i["entity"], i["op"], i["field"], i["from"], i["to"]) for i in items]


async def test_who_changed_what_from_what_to_what(
    worker: httpx.AsyncClient, register: App, clock: FixedClock
) -> None:
    who = await registered(worker, "张三", education="senior_secondary", employer="豆腐坊")
    path = f"residents/{who['id']}"
    clock.advance(DAY)
    other = register.as_role(Role.TOWN_OFFICER, "510182104", sub="account:officer", exp=LATER)
    await changed(other, who["id"], name="章三丰", education="undergraduate", employer="面馆")
    clock.advance(DAY)
    await changed(worker, who["id"], education=None)
    items = await history(worker, path)
    first, *middle, last = told(items)
    assert first == ("resident", "changed", "education", "undergraduate", None)
    assert last == ("resident", "created", None, None, None)
    assert set(middle) == {
        ("resident", "changed", "name", "张*", "章**"),
        ("resident", "changed", "employer", "***", "***"),
        ("resident", "changed", "education", "senior_secondary", "undergraduate"),
    }
    assert [(i["actor"], i["source"], i["at"]) for i in (items[0], items[1], items[-1])] == [
        ("account:worker", "api", "2026-11-25T04:00:00Z"),
        ("account:officer", "api", "2026-11-24T04:00:00Z"),
        ("account:worker", "api", "2026-11-23T04:00:00Z"),
    ]
    pages = await history(worker, path, page_size=2)
    assert pages == items
    with QueryLog() as queries:
        await worker.get(f"/v1/{path}/history")
    assert len(queries) == 7


async def test_numbers_and_phones_stay_masked_in_what_was(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    who = await registered(worker, "张三", id_number=NUMBER, phones=["13812345678"])
    renewed = await changed(worker, who["id"], id_number=OTHER_NUMBER, phones=["13987654321"])
    assert renewed["id_number"] != who["id_number"]
    items = told(await history(worker, f"residents/{who['id']}"))
    assert {item for item in items if item[0] != "resident"} == {
        ("phone", "created", "phones", None, "138****5678"),
        ("phone", "deleted", "phones", "138****5678", None),
        ("phone", "created", "phones", None, "139****4321"),
        ("identity_document", "created", "id_number", None, who["id_number"]),
        ("identity_document", "deleted", "id_number", who["id_number"], None),
        ("identity_document", "created", "id_number", None, renewed["id_number"]),
    }
    async with sessions.read() as session:
        for row in await session.execute(sa.text("SELECT h::text FROM history h")):
            for secret in (NUMBER, OTHER_NUMBER, "13812345678", "13987654321"):
                assert secret not in row[0]
                assert secret.encode().hex() not in row[0]


async def test_a_resident_as_they_were(worker: httpx.AsyncClient, clock: FixedClock) -> None:
    who = await registered(worker, "张三", id_number=NUMBER, phones=["13812345678", "13911112222"])
    path = f"/v1/residents/{who['id']}"
    first = (await worker.get(path)).json()
    clock.advance(DAY)
    await changed(worker, who["id"], name="李四", note="x", phones=["13911112222"])
    second = (await worker.get(path)).json()
    clock.advance(2 * DAY)
    await changed(worker, who["id"], id_number=OTHER_NUMBER, phones=[], occupation="教师")
    third = (await worker.get(path)).json()

    async def at(as_of: str) -> httpx.Response:
        return await worker.get(path, params={"as_of": as_of})

    assert (await at("2026-11-23")).json() == first
    assert (await at("2026-11-24")).json() == second
    assert (await at("2026-11-25")).json() == second
    assert (await at("2026-11-26")).json() == third
    # An instant counts as passed at itself; the change of the 24th came at noon in the city.
    assert (await at("2026-11-24T11:59:59+08:00")).json() == first
    assert (await at("2026-11-24T04:00:00Z")).json() == second
    answer = await at("2026-11-24")
    assert "etag" not in answer.headers
    assert refusal(await at("2026-11-22")) == (404, "resident.not_found")
    assert refusal(await at("2026-11-23T03:59:59Z")) == (404, "resident.not_found")
    assert fault(await at("2026-11-27")) == ("/query/as_of", "as_of.in_future")
    assert fault(await at("2026-11-26T04:00:01Z")) == ("/query/as_of", "as_of.in_future")
    for nonsense in ("", "yesterday", "20261123", "2026-11-31", "2026-11-24T04:00:00", "0001-01-01",
                     "0001-01-01T00:00:00+14:00", "9999-12-31", "0", "1", "-1", "∞"):  # fmt: skip
        assert fault(await at(nonsense)) == ("/query/as_of", "as_of.malformed"), nonsense


async def test_what_is_unseen_now_was_never_seen(worker: httpx.AsyncClient, register: App) -> None:
    who = await registered(worker, "张三")
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, exp=LATER)
    for path in ("", "/history", "/occupancies"):
        answer = await stranger.get(f"/v1/residents/{who['id']}{path}", params={})
        assert refusal(answer) == (404, "resident.not_found")
    assert refusal(
        await stranger.get(f"/v1/residents/{who['id']}", params={"as_of": "2026-11-23"})
    ) == (404, "resident.not_found")
    for role in (Role.AUDITOR, Role.ADMIN, Role.RESIDENT):
        for path in ("residents", "dwellings", "occupancies"):
            answer = await register.as_role(role).get(f"/v1/{path}/{who['id']}/history")
            assert refusal(answer) == (403, "role.forbidden")


async def test_where_somebody_lived(worker: httpx.AsyncClient, clock: FixedClock) -> None:
    await ledgers.succeeded(worker, ledgers.person("张大山", NUMBER, room="101"),
                            ledgers.person("李小河", OTHER_NUMBER, room="102"))  # fmt: skip
    one, two = [await dwelling_of(worker, room=room, area=VILLAGE) for room in ("101", "102")]
    who = await registered(worker, "张三")
    await moved_in(worker, who["id"], one)
    clock.advance(DAY)
    (occupancy,) = (await worker.get(f"/v1/residents/{who['id']}/occupancies")).json()["items"]
    await moved_out(worker, occupancy["id"], on=date(2026, 11, 24))
    await moved_in(worker, who["id"], two)
    clock.advance(DAY)

    async def at(path: str, as_of: str) -> list[tuple[str, Any, str]]:
        answer = await worker.get(f"/v1/{path}/occupancies", params={"as_of": as_of})
        assert answer.status_code == 200, answer.text
        return [
            (i["dwelling_id"], i["end_date"], i["state"])
            for i in answer.json()["items"]
            if i["resident_id"] == who["id"]
        ]

    path = f"residents/{who['id']}"
    assert await at(path, "2026-11-22") == []
    assert await at(path, "2026-11-23") == [(one, None, "approved")]
    assert await at(path, "2026-11-24") == [(one, "2026-11-24", "ended"), (two, None, "approved")]
    assert await at(f"dwellings/{one}", "2026-11-23") == [(one, None, "approved")]
    assert await at(f"dwellings/{two}", "2026-11-23") == []
    assert await at(f"dwellings/{two}", "2026-11-24") == [(two, None, "approved")]
    items = await history(worker, f"occupancies/{occupancy['id']}")
    assert told(items) == [
        ("occupancy", "changed", "end_date", None, "2026-11-24"),
        ("occupancy", "created", None, None, None),
    ]
    assert {item["row_id"] for item in items} == {occupancy["id"]}
    fields = [i["field"] for i in await history(worker, path) if i["entity"] == "occupancy"]
    assert fields == [None, "end_date", None]


async def test_what_is_deleted_or_moved_is_remembered(
    worker: httpx.AsyncClient, register: App, sessions: Sessions, clock: FixedClock
) -> None:
    await ledgers.succeeded(worker, ledgers.person("张大山", NUMBER, room="101"),
                            ledgers.person("李小河", OTHER_NUMBER, room="102"))  # fmt: skip
    one, two = [await dwelling_of(worker, room=room, area=VILLAGE) for room in ("101", "102")]
    who, other = await registered(worker, "张三"), await registered(worker, "李四")
    occupancy = await moved_in(worker, who["id"], one)
    clock.advance(DAY)
    # Ways of writing that nobody has thought of yet: to another dwelling, to another person, away.
    async with sessions.write() as session:
        await session.execute(
            sa.update(Occupancy)
            .where(Occupancy.id == occupancy["id"])
            .values(dwelling_id=UUID(two))
        )
    async with sessions.write() as session:
        await session.execute(
            sa.update(Occupancy)
            .where(Occupancy.id == occupancy["id"])
            .values(resident_id=UUID(other["id"]))
        )
        await session.execute(sa.delete(Occupancy).where(Occupancy.id == occupancy["id"]))
        await session.execute(sa.delete(Dwelling).where(Dwelling.id == UUID(two)))
    clock.advance(DAY)
    answer = await worker.get(f"/v1/dwellings/{one}/occupancies", params={"as_of": "2026-11-23"})
    # The database's own clock says when: these writes said nothing of theirs.
    was = {item["id"]: item["resident_id"] for item in answer.json()["items"]}
    assert was[occupancy["id"]] == who["id"]
    items = await history(worker, f"residents/{who['id']}")
    moved = [i for i in items if i["entity"] == "occupancy"]
    assert ("occupancy", "changed", "dwelling_id", one, two) in told(moved)
    assert ("occupancy", "deleted", "tenure", "owner", None) in told(moved)
    assert {i["actor"] for i in moved} == {"account:worker", "role:residents_api"}
    assert {i["source"] for i in moved} == {"api", "database"}
    gone = await history(worker, f"occupancies/{occupancy['id']}")
    assert [item["op"] for item in gone][-1] == "created"
    assert ("dwelling", "deleted", "room", "102", None) in told(
        await history(worker, f"dwellings/{two}")
    )
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE, exp=LATER)
    answer = await stranger.get(f"/v1/dwellings/{two}/history")
    assert refusal(answer) == (404, "dwelling.not_found")
    answer = await stranger.get(f"/v1/occupancies/{occupancy['id']}/history")
    assert refusal(answer) == (404, "occupancy.not_found")
    answer = await worker.get(f"/v1/occupancies/{new_id()}/history")
    assert refusal(answer) == (404, "occupancy.not_found")


async def test_an_import_is_named_as_the_source(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    first = await ledgers.succeeded(
        worker, ledgers.person("张三", NUMBER, phones="13812345678", education="高中")
    )
    (who,) = await ledgers.everybody(worker)
    items = await history(worker, f"residents/{who['id']}")
    assert {(i["entity"], i["op"]) for i in items} == {
        (entity, "created") for entity in ("resident", "identity_document", "phone", "occupancy")
    }
    assert {(i["actor"], i["source"]) for i in items} == {
        ("account:worker", f"import:{first['id']}")
    }
    second = await ledgers.succeeded(
        worker, ledgers.person("张三", NUMBER, phones="13812345678", education="本科")
    )
    (newest, *older) = await history(worker, f"residents/{who['id']}")
    assert (newest["field"], newest["source"]) == ("education", f"import:{second['id']}")
    assert older == items
    # The same once more, or only tried, changes nothing and leaves nothing.
    await ledgers.succeeded(worker, ledgers.person("张三", NUMBER, education="本科"))
    await ledgers.succeeded(worker, ledgers.person("张三", NUMBER, education="小学"), dry_run=True)
    assert await history(worker, f"residents/{who['id']}") == [newest, *older]
    async with sessions.read() as session:
        acts = await session.scalar(sa.text("SELECT count(*) FROM history_act"))
    assert acts == 2


async def test_what_says_nothing_leaves_nothing(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    who = await registered(worker, "张三")
    async with sessions.write() as session:
        await session.execute(
            sa.update(Resident).values(
                version=Resident.version + 1, name_pinyin="x", updated_at=sa.func.now()
            )
        )
        await session.execute(sa.update(Resident).where(sa.false()).values(note="x"))
    assert len(await history(worker, f"residents/{who['id']}")) == 1


async def test_a_history_does_not_depend_on_how_it_is_asked_for(
    worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    """Undoing every change, one after another, leads back through every state there was."""
    who = await registered(worker, "张三")
    path = f"/v1/residents/{who['id']}"
    was: dict[str, dict[str, Any]] = {}
    for turn in range(8):
        values = {
            "education": ["senior_secondary", "undergraduate", None][turn % 3],
            "phones": [f"1391111222{n}" for n in range(turn % 4)],
            "occupation": f"工{turn // 2}",
        }
        await changed(worker, who["id"], **values)
        was[clock.now().isoformat()] = (await worker.get(path)).json()
        clock.advance(timedelta(hours=7))
    for at, shown in was.items():
        answer = await worker.get(path, params={"as_of": at})
        assert answer.json() == shown, at
