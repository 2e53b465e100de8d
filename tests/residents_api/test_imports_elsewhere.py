"""Ledgers that name people of other areas: their keepers are asked, and nothing is touched."""

from datetime import date
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from tests.houses import App, Identity
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import dwelling_of, moved_in, moved_out, occupancies
from tests.residents_api.ledgers import codes, counts, everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    found,
    number,
    refusal,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

TODAY = date(2026, 11, 23)
THEIRS = person(
    "张三",
    number(),
    occupation="农民",
    phones="13800000000",
    grid="1",
    labels="党员",
    tenure="自有",
)
OURS = THEIRS | {
    "name": "张叁",
    "occupation": "木匠",
    "phones": "13900000000",
    "labels": "志愿者",
    "tenure": "租住",
    "start_date": "2020-01-01",
    "grid": "",
}


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def neighbour(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


async def _everything(sessions: Sessions) -> dict[str, list[str]]:
    """The register's rows of people."""
    tables = ("resident", "identity_document", "phone", "resident_label", "ledger_statement")
    async with sessions.read() as session:
        return {
            table: sorted(await session.scalars(sa.text(f"SELECT t::text FROM {table} t")))  # noqa: S608
            for table in tables
        }


async def _pending(client: httpx.AsyncClient, dwelling: str) -> list[dict[str, Any]]:
    items = (await client.get(f"/v1/dwellings/{dwelling}/occupancies")).json()["items"]
    return [item for item in items if item["state"] == "pending"]


async def test_a_person_of_another_village_waits_for_a_review(
    register: App,
    worker: httpx.AsyncClient,
    neighbour: httpx.AsyncClient,
    town: httpx.AsyncClient,
    sessions: Sessions,
) -> None:
    await succeeded(neighbour, THEIRS, village=NEXT_VILLAGE)
    (who,) = await found(neighbour, name="张三")
    before, start = await _everything(sessions), await position(register)
    for round_ in range(2):
        job = await succeeded(worker, OURS, person("李四", number(sequence=3), room="102"))
        assert counts(job) == ((1, 0, 1) if round_ == 0 else (0, 0, 2))
        assert job["occupancies_created"] == (2 if round_ == 0 else 0)
        assert await codes(worker, job) == {
            2: ["resident.elsewhere", "name.conflicts_with_register"]
        }
        after = await _everything(sessions)
        assert all(set(before[table]) <= set(after[table]) for table in before)
        assert len(after["resident"]) == 2
        assert len(after["ledger_statement"]) == 2
        assert who["id"] not in {state["id"] for state in await states(register, start)}
    # The dwelling's village sees that somebody waits, but not who it is.
    dwelling = await dwelling_of(worker, area=VILLAGE, room="101")
    (waiting,) = await _pending(worker, dwelling)
    assert (waiting["resident_id"], waiting["tenure"]) == (who["id"], "tenant")
    assert (waiting["start_date"], waiting["end_date"]) == ("2020-01-01", None)
    assert refusal(await worker.get(f"/v1/residents/{who['id']}"))[0] == 404
    assert who["id"] not in {item["id"] for item in await everybody(worker)}
    assert await found(worker, name="张三") == []
    assert await found(worker, id_number=number()) == []
    # Their own village sees both, and so does whoever has both.
    for client in (neighbour, town):
        homes = await occupancies(client, who["id"])
        assert sorted(home["state"] for home in homes) == ["approved", "pending"]
    assert (await revealed(neighbour, who["id"]))["phones"] == ["+8613800000000"]
    # It can be turned down.
    await moved_out(worker, waiting["id"], on=TODAY)
    again = await succeeded(worker, OURS)
    assert again["occupancies_created"] == 0
    assert await _pending(worker, dwelling) == []


async def test_whose_areas_hold_both_need_not_wait(
    town: httpx.AsyncClient, neighbour: httpx.AsyncClient
) -> None:
    await succeeded(neighbour, THEIRS, village=NEXT_VILLAGE)
    job = await succeeded(town, OURS)
    assert counts(job) == (0, 1, 0)
    assert await codes(town, job) == {2: ["name.conflicts_with_register"]}
    (who,) = await found(town, name="张三")
    assert who["occupation"] == "木匠"
    homes = await occupancies(town, who["id"])
    assert [home["state"] for home in homes] == ["approved", "approved"]


@pytest.mark.parametrize(("grid", "elsewhere"), [("001", False), ("002", True)])
async def test_a_grid_of_another_village_counts_as_ones_own(
    register: App, identity: Identity, neighbour: httpx.AsyncClient, grid: str, elsewhere: bool
) -> None:
    await succeeded(neighbour, THEIRS, village=NEXT_VILLAGE)
    both = register.client(
        identity.token(Role.COMMUNITY_WORKER, areas=[VILLAGE, f"{NEXT_VILLAGE}{grid}"])
    )
    job = await succeeded(both, OURS)
    assert counts(job) == ((0, 0, 1) if elsewhere else (0, 1, 0))
    assert ("resident.elsewhere" in (await codes(both, job))[2]) is elsewhere


async def test_who_lives_here_too_is_no_stranger(
    worker: httpx.AsyncClient, neighbour: httpx.AsyncClient, town: httpx.AsyncClient
) -> None:
    await succeeded(neighbour, THEIRS, village=NEXT_VILLAGE)
    await succeeded(worker, person("李四", number(sequence=3), room="102"))
    (who,) = await found(town, name="张三")
    await moved_in(town, who["id"], await dwelling_of(town, area=VILLAGE, room="102"))
    job = await succeeded(worker, OURS | {"name": "张三"})
    assert (counts(job), await codes(worker, job)) == ((0, 1, 0), {})
    assert len(await occupancies(worker, who["id"])) == 3


async def test_who_lives_nowhere_is_elsewhere_if_others_keep_the_record(
    worker: httpx.AsyncClient, neighbour: httpx.AsyncClient, town: httpx.AsyncClient
) -> None:
    await registered(neighbour, "张三", id_number=number())
    await registered(town, "王五", id_number=number(sequence=5))
    await registered(worker, "李四", id_number=number(sequence=3))
    job = await succeeded(
        worker,
        person("张三", number()),
        person("王五", number(sequence=5), room="102"),
        person("李四", number(sequence=3), room="103", occupation="农民"),
    )
    assert counts(job) == (0, 1, 2)
    assert await codes(worker, job) == {2: ["resident.elsewhere"], 3: ["resident.elsewhere"]}


async def test_who_moved_to_another_village_is_not_claimed_back_by_an_old_file(
    worker: httpx.AsyncClient, town: httpx.AsyncClient
) -> None:
    row = person("张三", number())
    await succeeded(worker, row)
    await succeeded(town, person("李四", number(sequence=3)), village=NEXT_VILLAGE)
    (who,) = await found(worker, name="张三")
    (home,) = await occupancies(worker, who["id"])
    await moved_in(town, who["id"], await dwelling_of(town, area=NEXT_VILLAGE))
    await moved_out(town, home["id"], on=TODAY)
    job = await succeeded(worker, row)
    assert (counts(job), job["occupancies_created"]) == ((0, 0, 1), 0)
    assert await codes(worker, job) == {2: ["resident.elsewhere"]}
    homes = await occupancies(town, who["id"])
    assert sorted(home["state"] for home in homes) == ["approved", "ended"]
    # A file that says that they came back has somebody look at it.
    job = await succeeded(worker, row | {"start_date": "2026-11-23"})
    assert job["occupancies_created"] == 1
    assert len(await _pending(worker, home["dwelling_id"])) == 1


async def test_without_a_number_nobody_of_another_village_is_meant(
    worker: httpx.AsyncClient, neighbour: httpx.AsyncClient
) -> None:
    row = person("张三", birth_date="1990-05-01")
    await succeeded(neighbour, row, village=NEXT_VILLAGE)
    job = await succeeded(worker, row)
    assert (counts(job), await codes(worker, job)) == ((1, 0, 0), {})
