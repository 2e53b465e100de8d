"""Rows that a source said before, word for word: skipped only where nobody could tell."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from tests.houses import App
from tests.residents_api.homes import occupancies
from tests.residents_api.ledgers import codes, counts, imported, person, succeeded, text
from tests.residents_api.people import TOWN, VILLAGE, changed, found, number, registered, revealed

pytestmark = pytest.mark.usefixtures("divisions")

NEIGHBOURS = [person(f"李{n}", number(sequence=n), room=str(n)) for n in range(3, 23)]


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def known(sessions: Sessions, job: dict[str, Any]) -> int:
    """How many rows of an import were known."""
    async with sessions.read() as session:
        found = await session.scalar(
            sa.text("SELECT rows_known FROM ledger_import WHERE id = :id"), {"id": job["id"]}
        )
        assert isinstance(found, int)
        return found


async def test_what_is_said_again_is_known(worker: httpx.AsyncClient, sessions: Sessions) -> None:
    first = await succeeded(worker, *NEIGHBOURS)
    assert (counts(first), await known(sessions, first)) == ((20, 0, 0), 0)
    again = await succeeded(worker, *NEIGHBOURS)
    assert (counts(again), await known(sessions, again)) == ((0, 0, 20), 20)
    assert (again["rows_total"], again["rows_accepted"]) == (20, 20)
    # Other rows between them and another order make no difference; what is new is merged.
    more = await succeeded(
        worker,
        *reversed(NEIGHBOURS[:10]),
        person("张三", number(), room="1"),
        *NEIGHBOURS[10:],
        person("", number(sequence=99)),
    )
    assert (counts(more), await known(sessions, more)) == ((1, 0, 20), 20)
    assert await codes(worker, more) == {23: ["name.missing"]}
    last = await succeeded(worker, *NEIGHBOURS, person("张三", number(), room="1"))
    assert await known(sessions, last) == 21


async def test_a_changed_row_is_merged_and_known_after_the_next(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await succeeded(worker, *NEIGHBOURS)
    moved = [NEIGHBOURS[0] | {"occupation": "木匠"}, *NEIGHBOURS[1:]]
    for expected, many in (((0, 1, 19), 19), ((0, 0, 20), 19), ((0, 0, 20), 20)):
        job = await succeeded(worker, *moved)
        assert (counts(job), await known(sessions, job)) == (expected, many)
    assert [who["occupation"] for who in await found(worker, name="李3")] == ["木匠"]


async def test_all_rows_of_a_person_are_looked_at_together(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    zhang = person("张三", number(), room="1", occupation="农民")
    await succeeded(worker, *NEIGHBOURS, zhang)
    # The row that is known comes last, so it has the last word, also of the new row's person.
    other = zhang | {"room": "2", "occupation": "木匠"}
    job = await succeeded(worker, other, *NEIGHBOURS, zhang)
    assert (counts(job), await known(sessions, job)) == ((0, 1, 20), 20)
    (who,) = await found(worker, name="张")
    assert who["occupation"] == "农民"
    assert len(await occupancies(worker, who["id"])) == 2


async def test_said_twice_is_not_known(worker: httpx.AsyncClient, sessions: Sessions) -> None:
    await succeeded(worker, *NEIGHBOURS)
    job = await succeeded(worker, *NEIGHBOURS, NEIGHBOURS[4])
    assert (counts(job), await known(sessions, job)) == ((0, 0, 20), 19)
    assert await codes(worker, job) == {22: ["row.duplicate"]}


async def test_rows_with_a_remark_get_it_every_time(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    rows = [person("张三", number(), phones="12"), *NEIGHBOURS]
    for _ in range(3):
        job = await succeeded(worker, *rows)
        assert await codes(worker, job) == {2: ["phone.invalid"]}
    assert await known(sessions, job) == 20


async def test_who_was_edited_is_looked_at_again(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await succeeded(worker, *NEIGHBOURS)
    (who,) = await found(worker, name="李5")
    await changed(worker, who["id"], name="李五", occupation="教师")
    job = await succeeded(worker, *NEIGHBOURS)
    assert await known(sessions, job) == 19
    assert list((await codes(worker, job)).values()) == [["name.conflicts_with_register"]]
    (who,) = await found(worker, name="李五")
    assert who["occupation"] == "教师"


async def test_somebody_without_a_number_may_be_one_of_them(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    born = "1990-05-01"
    row = person("张三", number(born), room="1")
    await succeeded(worker, *NEIGHBOURS, row)
    nameless = person("张三", birth_date=born, room="1")
    job = await succeeded(worker, nameless, *NEIGHBOURS, row)
    assert (counts(job), await known(sessions, job)) == ((0, 0, 21), 20)
    assert len(await found(worker, name="张")) == 1


async def test_it_holds_for_the_same_areas_only(
    register: App, worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    await succeeded(town, *NEIGHBOURS)
    job = await succeeded(worker, *NEIGHBOURS)
    assert (counts(job), await known(sessions, job)) == ((0, 0, 20), 0)
    assert await known(sessions, await succeeded(worker, *NEIGHBOURS)) == 20


async def test_a_dry_run_asks_and_leaves_nothing(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    first = await imported(worker, text(*NEIGHBOURS), dry_run=True)
    assert counts(first) == (20, 0, 0)
    job = await succeeded(worker, *NEIGHBOURS)
    assert (counts(job), await known(sessions, job)) == ((20, 0, 0), 0)
    rows = [NEIGHBOURS[0] | {"occupation": "木匠"}, *NEIGHBOURS[1:]]
    dry = await imported(worker, text(*rows), dry_run=True)
    assert (counts(dry), await known(sessions, dry)) == ((0, 1, 19), 19)
    assert await known(sessions, await succeeded(worker, *NEIGHBOURS)) == 20


async def test_somebody_registered_by_hand_is_met_as_ever(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    await succeeded(worker, *NEIGHBOURS)
    who = await registered(worker, "张三", id_number=number())
    job = await succeeded(
        worker, *NEIGHBOURS, person("张三", number(), room="1", phones="13800000000")
    )
    assert (counts(job), await known(sessions, job)) == ((0, 1, 20), 20)
    assert (await revealed(worker, who["id"]))["phones"] == ["+8613800000000"]
