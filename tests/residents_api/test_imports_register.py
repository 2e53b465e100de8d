"""A ledger on a register that knows people already: who is who, and whose word counts."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import dwelling_of, moved_in, moved_out, occupancies
from tests.residents_api.ledgers import codes, counts, everybody, person, succeeded
from tests.residents_api.people import (
    TOWN,
    VILLAGE,
    changed,
    found,
    number,
    registered,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

TODAY = date(2026, 11, 23)
UNCHANGED = (0, 0, 1)
UPDATED = (0, 1, 0)
CREATED = (1, 0, 0)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


async def _only(client: httpx.AsyncClient, **terms: Any) -> dict[str, Any]:
    (item,) = await found(client, **terms or {"name": "张"})
    return item


async def test_rows_of_one_person_are_folded_however_far_apart(worker: httpx.AsyncClient) -> None:
    others = [person(f"李{n}", number(sequence=n), room=str(n)) for n in range(3, 40)]
    job = await succeeded(
        worker,
        person("张三", number(), occupation="农民", phones="13800000002", education="小学"),
        *others[:20],
        person(
            "张三", number(), room="1102", occupation="木匠", phones="13800000001", labels="党员"
        ),
        *others[20:],
        person(
            "张三", number(), occupation="", phones="13800000002、13800000003", education="不详"
        ),
    )
    assert counts(job) == (38, 0, 0)
    assert job["occupancies_created"] == 39
    assert await codes(worker, job) == {41: ["row.duplicate"]}
    who = await _only(worker)
    # The last that says something counts; phones and dwellings add up, in the order said.
    assert (who["occupation"], who["education"]) == ("木匠", "primary")
    assert (await revealed(worker, who["id"]))["phones"] == [
        "+8613800000002",
        "+8613800000001",
        "+8613800000003",
    ]
    assert len(await occupancies(worker, who["id"])) == 2


async def test_nobody_gets_hundreds_of_phones(worker: httpx.AsyncClient) -> None:
    rows = [person("张三", number(), phones=f"139{n:08}") for n in range(150)]
    job = await succeeded(worker, *rows)
    assert counts(job) == CREATED
    assert len((await _only(worker))["phones"]) == 100


async def test_two_dwellings_are_two_occupancies_each_with_its_own_words(
    worker: httpx.AsyncClient,
) -> None:
    one = person("张三", number(), tenure="自有", relation_to_head="户主", start_date="2001-01-01")
    two = person("张三", number(), room="102", tenure="租住", start_date="2015年3月")
    assert counts(await succeeded(worker, one, two)) == CREATED
    who = await _only(worker)
    homes = await occupancies(worker, who["id"])
    assert {(h["tenure"], h["relation_to_head"], h["start_date"], h["state"]) for h in homes} == {
        ("owner", "head", "2001-01-01", "approved"),
        ("tenant", None, "2015-03-01", "approved"),
    }
    assert counts(await succeeded(worker, two, one)) == UNCHANGED
    assert counts(await succeeded(worker, two | {"tenure": "借住"}, one)) == UPDATED
    homes = await occupancies(worker, who["id"])
    assert {h["tenure"] for h in homes} == {"owner", "borrower"}


async def test_without_a_number_name_and_birth_date_in_a_dwelling_are_one_person(
    worker: httpx.AsyncClient,
) -> None:
    row = person("张三", birth_date="1990-05-01")
    job = await succeeded(
        worker,
        row,
        row | {"phones": "13800000000"},
        row | {"room": "102"},
        row | {"birth_date": "1990-05-02"},
        row | {"name": "张三丰"},
    )
    assert (counts(job), await codes(worker, job)) == ((4, 0, 0), {3: ["row.duplicate"]})
    again = await succeeded(worker, row | {"occupation": "农民"})
    assert counts(again) == UPDATED
    assert len(await found(worker, name="张")) == 4


async def test_a_number_that_comes_later_is_added_to_its_person(worker: httpx.AsyncClient) -> None:
    row = person("张三", birth_date="1990-05-01", occupation="农民")
    await succeeded(worker, row)
    before = await _only(worker)
    job = await succeeded(worker, row | {"id_number": number("1990-05-01", 2)})
    assert counts(job) == UPDATED
    after = await _only(worker)
    assert after["id"] == before["id"]
    assert after["sex"] == "female"
    assert (await revealed(worker, after["id"]))["id_number"] == number("1990-05-01", 2)
    # From then on the row without a number still means the same person.
    assert counts(await succeeded(worker, row)) == UNCHANGED
    # Another number under the same name and birth date is somebody else.
    job = await succeeded(worker, row | {"id_number": number("1990-05-01", 4)})
    assert counts(job) == CREATED
    assert len(await found(worker, name="张")) == 2


async def test_of_two_numbers_for_one_without_a_number_the_first_is_theirs(
    worker: httpx.AsyncClient,
) -> None:
    row = person("张三", birth_date="1990-05-01")
    await succeeded(worker, row)
    first, second = number("1990-05-01", 2), number("1990-05-01", 4)
    job = await succeeded(worker, row | {"id_number": first}, row | {"id_number": second})
    assert counts(job) == (1, 1, 0)
    people = await found(worker, name="张")
    shown = {(await revealed(worker, who["id"]))["id_number"] for who in people}
    assert shown == {first, second}


async def test_one_person_in_two_dwellings_without_a_number_is_still_one(
    worker: httpx.AsyncClient,
) -> None:
    await succeeded(worker, person("李四", number(sequence=3), room="102"))
    who = await registered(worker, "张三", birth_date="1990-05-01")
    await succeeded(worker, person("王五", number(sequence=5), room="101"))
    for room in ("101", "102"):
        await moved_in(worker, who["id"], await dwelling_of(worker, room=room, area=VILLAGE))
    row = person("张三", birth_date="1990-05-01")
    job = await succeeded(worker, row, row | {"room": "102", "occupation": "农民"})
    assert counts(job) == UPDATED
    assert (await _only(worker))["occupation"] == "农民"
    assert counts(await succeeded(worker, row, row | {"room": "102"})) == UNCHANGED
    # And so it is if only one of the rows knows the number.
    numbered = row | {"room": "102", "id_number": number("1990-05-01", 1)}
    for rows in ((row, numbered), (numbered, row), (row, numbered)):
        assert sum(counts(await succeeded(worker, *rows))) == 1
    assert (await revealed(worker, who["id"]))["id_number"] == number("1990-05-01", 1)
    assert len(await found(worker, name="张")) == 1
    assert len(await occupancies(worker, who["id"])) == 2


async def test_each_field_that_a_source_says_anew_is_taken(worker: httpx.AsyncClient) -> None:
    row = person(
        "张三",
        number(),
        phones="13800000000",
        population_type="户籍",
        ethnicity="汉族",
        education="小学",
        marital_status="未婚",
        political_status="群众",
        occupation="农民",
        employer="甲厂",
        registered_address="一号",
        tenure="自有",
        start_date="2001-01-01",
        relation_to_head="户主",
        labels="退役军人",
        note="甲",
    )
    assert counts(await succeeded(worker, row)) == CREATED
    assert counts(await succeeded(worker, row)) == UNCHANGED
    version = 1
    for name, value in {
        "phones": "13900000000",
        "population_type": "流动",
        "ethnicity": "彝族",
        "education": "本科",
        "marital_status": "已婚",
        "political_status": "中共党员",
        "occupation": "木匠",
        "employer": "乙厂",
        "registered_address": "二号",
        "tenure": "租住",
        "start_date": "2002-02-02",
        "relation_to_head": "配偶",
        "labels": "志愿者",
        "note": "乙",
    }.items():
        row[name] = value
        assert counts(await succeeded(worker, row)) == UPDATED, name
        assert counts(await succeeded(worker, row)) == UNCHANGED, name
        version += 1
        assert (await _only(worker))["version"] == version
    # A cell that says nothing takes nothing away.
    assert counts(await succeeded(worker, person("张三", number()))) == UNCHANGED
    who = await _only(worker)
    assert (who["education"], who["occupation"]) == ("undergraduate", "木匠")
    shown = await revealed(worker, who["id"], "phones", "employer", "note")
    assert shown["phones"] == ["+8613800000000", "+8613900000000"]
    assert (shown["employer"], shown["note"]) == ("乙厂", "乙")
    (home,) = await occupancies(worker, who["id"])
    assert (home["tenure"], home["relation_to_head"], home["start_date"]) == (
        "tenant",
        "spouse",
        "2002-02-02",
    )


async def test_what_a_source_repeats_never_overwrites_an_edit(worker: httpx.AsyncClient) -> None:
    row = person("张三", number(), education="小学", occupation="农民", phones="13800000000")
    await succeeded(worker, row)
    who = await _only(worker)
    await changed(
        worker, who["id"], education="undergraduate", occupation=None, phones=["13900000000"]
    )
    assert counts(await succeeded(worker, row)) == UNCHANGED
    # One field said anew brings that field, and no other.
    assert counts(await succeeded(worker, row | {"employer": "甲厂"})) == UPDATED
    now = await _only(worker)
    assert (now["education"], now["occupation"]) == ("undergraduate", None)
    shown = await revealed(worker, who["id"], "phones", "employer")
    assert (shown["phones"], shown["employer"]) == (["+8613900000000"], "甲厂")
    # The same words on more rows, or on fewer, are the same words.
    assert counts(await succeeded(worker, row, row)) == UNCHANGED
    assert counts(await succeeded(worker, row)) == UNCHANGED
    # But what the source corrects is taken over the edit: it is newer.
    assert counts(await succeeded(worker, row | {"education": "初中"})) == UPDATED
    assert (await _only(worker))["education"] == "junior_secondary"


async def test_a_person_who_was_typed_in_is_recognised(worker: httpx.AsyncClient) -> None:
    typed = await registered(worker, "张三", id_number=number(), education="undergraduate")
    row = person("张三", number(), education="小学", occupation="农民")
    job = await succeeded(worker, row)
    assert counts(job) == UPDATED
    who = await _only(worker)
    assert who["id"] == typed["id"]
    # Never having spoken before, the source is news.
    assert (who["education"], who["occupation"]) == ("primary", "农民")
    assert len(await occupancies(worker, who["id"])) == 1


async def test_the_number_under_another_name_keeps_the_name(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("张三", number()))
    job = await succeeded(
        worker,
        person("张叁", number(), occupation="农民"),
        person("李四", number(sequence=3), room="102"),
    )
    assert counts(job) == (1, 1, 0)
    assert await codes(worker, job) == {2: ["name.conflicts_with_register"]}
    who = await _only(worker, id_number=number())
    assert (await revealed(worker, who["id"]))["name"] == "张三"
    assert who["occupation"] == "农民"


async def test_a_replaced_number_is_another_person(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("张三", number("1990-05-01", 1)))
    who = await _only(worker)
    await changed(worker, who["id"], id_number=number("1990-05-01", 3))
    job = await succeeded(worker, person("张三", number("1990-05-01", 1)))
    assert counts(job) == CREATED
    assert len(await found(worker, name="张三")) == 2


@pytest.mark.parametrize("numbered", [True, False])
async def test_an_old_file_brings_nobody_back(
    worker: httpx.AsyncClient, register: App, numbered: bool
) -> None:
    row = person("张三", number() if numbered else "", birth_date="1990-05-01", occupation="农民")
    await succeeded(worker, row)
    who = await _only(worker)
    (home,) = await occupancies(worker, who["id"])
    await moved_out(worker, home["id"], on=TODAY)
    told = await position(register)
    assert counts(await succeeded(worker, row)) == UNCHANGED
    assert counts(await succeeded(worker, row, row)) == UNCHANGED
    assert await states(register, told) == []
    # Nor does one that says something else of them anew.
    assert counts(await succeeded(worker, row | {"occupation": "木匠"})) == UPDATED
    assert [item["state"] for item in await occupancies(worker, who["id"])] == ["ended"]
    assert [item["id"] for item in await everybody(worker)] == [who["id"]]
    assert len(await found(worker, name="张三")) == 1
    # One that says they came back does.
    back = row | {"start_date": "2026-11-23"}
    assert counts(await succeeded(worker, back)) == UPDATED
    assert [item["state"] for item in await occupancies(worker, who["id"])] == ["ended", "approved"]
    assert counts(await succeeded(worker, back)) == UNCHANGED


async def test_who_moved_on_in_the_ledger_is_not_brought_back_to_the_old_dwelling(
    worker: httpx.AsyncClient,
) -> None:
    old = person("张三", number())
    new = person("张三", number(), room="102")
    await succeeded(worker, old)
    who = await _only(worker)
    (home,) = await occupancies(worker, who["id"])
    await moved_out(worker, home["id"], on=TODAY)
    assert counts(await succeeded(worker, new)) == UPDATED
    # The first file once more, and a second row beside the new one: both speak of the past.
    assert counts(await succeeded(worker, old)) == UNCHANGED
    assert counts(await succeeded(worker, old, new)) == UNCHANGED
    states_now = [(i["dwelling_id"], i["state"]) for i in await occupancies(worker, who["id"])]
    assert [state for _, state in states_now] == ["ended", "approved"]


async def test_moving_out_tomorrow_is_still_living_there(worker: httpx.AsyncClient) -> None:
    row = person("张三", number())
    await succeeded(worker, row)
    who = await _only(worker)
    (home,) = await occupancies(worker, who["id"])
    await moved_out(worker, home["id"], on=TODAY + timedelta(days=1))
    assert counts(await succeeded(worker, row)) == UNCHANGED
    assert counts(await succeeded(worker, row | {"occupation": "农民"})) == UPDATED
    assert len(await occupancies(worker, who["id"])) == 1


async def test_a_register_that_holds_others_keeps_them(worker: httpx.AsyncClient) -> None:
    first = [person(f"张{n}", number(sequence=n), room=str(n)) for n in range(1, 11)]
    second = [person(f"李{n}", number(sequence=n), room=str(n % 7)) for n in range(11, 21)]
    assert counts(await succeeded(worker, *first)) == (10, 0, 0)
    before = await everybody(worker)
    job = await succeeded(worker, *second)
    assert counts(job) == (10, 0, 0)
    # Rooms 1 to 6 and 0: all but one stood there already.
    assert (job["dwellings_created"], job["occupancies_created"]) == (1, 10)
    after = {item["id"]: item for item in await everybody(worker)}
    assert len(after) == 20
    assert all(after[item["id"]] == item for item in before)
