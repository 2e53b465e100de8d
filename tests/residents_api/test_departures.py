"""People who die or move out, and who come back."""

from datetime import date
from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.feeds import position, states
from tests.residents_api.homes import (
    asked_to_move_in,
    dwelling_of,
    moved_in,
    moved_out,
    occupancies,
)
from tests.residents_api.ledgers import codes, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
    revealed,
)

TODAY = date(2026, 11, 23)


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


@pytest.fixture
async def home(divisions: None, worker: httpx.AsyncClient) -> str:
    await succeeded(
        worker,
        person("屋主", number(sequence=901), room="101"),
        person("邻", number(sequence=3), room="9"),
    )
    return await dwelling_of(worker, room="101", area=VILLAGE)


async def _said(
    client: httpx.AsyncClient, who: dict[str, Any], act: str, **body: Any
) -> httpx.Response:
    return await client.post(f"/v1/residents/{who['id']}/{act}", json=body)


async def test_who_dies_lives_nowhere_and_is_told(
    register: App, worker: httpx.AsyncClient, home: str
) -> None:
    who = await registered(worker, "张三")
    await moved_in(worker, who["id"], home)
    later = await moved_in(
        worker,
        who["id"],
        await dwelling_of(worker, room="9", area=VILLAGE),
        start_date="2026-12-24",
    )
    start = await position(register)
    answer = await _said(worker, who, "deceased", date="2026-11-20")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["state_since"]) == ("deceased", "2026-11-20")
    (ended,) = await occupancies(worker, who["id"])
    assert (ended["end_date"], ended["state"]) == ("2026-11-20", "ended")
    assert ended["id"] != later["id"]
    (told,) = await states(register, start)
    assert (told["state"], told["places"], told["version"]) == ("deceased", [], 4)
    assert told["keeper"]["division_code"] == VILLAGE
    assert (await worker.get(f"/v1/residents/{who['id']}")).json()["state"] == "deceased"
    for act in ("deceased", "moved-out"):
        again = await _said(worker, who, act, date="2026-11-20")
        assert refusal(again) == (409, "resident.not_active")
    assert refusal(await asked_to_move_in(worker, who["id"], home)) == (409, "resident.not_active")


async def test_who_moves_out_may_come_back(
    register: App, worker: httpx.AsyncClient, home: str
) -> None:
    who = await registered(worker, "张三")
    await moved_in(worker, who["id"], home, start_date="2026-01-01")
    for day, expected in (
        ("2025-12-31", ("/date", "occupancy.ends_before_start")),
        ("2026-11-24", ("/date", "date.in_future")),
        ("1989-01-01", ("/date", "date.before_birth")),
        ("2026-02-30", ("/date", None)),
    ):
        pointer, code = fault(await _said(worker, who, "moved-out", date=day))
        assert pointer == expected[0]
        assert expected[1] in (code, None)
    assert [one["end_date"] for one in await occupancies(worker, who["id"])] == [None]
    answer = await _said(worker, who, "moved-out", date="2026-11-01", destination="重庆市渝中区")
    assert answer.json()["state"] == "moved_out"
    assert "重庆" not in answer.text
    assert (await revealed(worker, who["id"], "destination"))["destination"] == "重庆市渝中区"
    history = await worker.get(f"/v1/residents/{who['id']}/history")
    assert "重庆" not in history.text
    start = await position(register)
    back = await worker.post(f"/v1/residents/{who['id']}/reactivate")
    assert (back.json()["state"], back.json()["state_since"]) == ("active", None)
    (told,) = await states(register, start)
    assert (told["state"], told["places"]) == ("active", [])
    again = await worker.post(f"/v1/residents/{who['id']}/reactivate")
    assert refusal(again) == (409, "resident.not_gone")
    assert (await moved_in(worker, who["id"], home, start_date="2026-11-23"))["end_date"] is None
    assert (await revealed(worker, who["id"], "destination"))["destination"] is None


async def test_an_end_to_come_is_brought_forward_and_one_that_was_stays(
    worker: httpx.AsyncClient, home: str
) -> None:
    who = await registered(worker, "张三")
    first = await moved_in(worker, who["id"], home, start_date="2020-01-01")
    await moved_out(worker, first["id"], on=date(2021, 1, 1))
    second = await moved_in(worker, who["id"], home, start_date="2022-01-01")
    await moved_out(worker, second["id"], on=date(2026, 12, 31))
    await _said(worker, who, "moved-out", date=TODAY.isoformat())
    assert [one["end_date"] for one in await occupancies(worker, who["id"])] == [
        "2021-01-01",
        "2026-11-23",
    ]


async def test_who_says_it_goes_on_keeping_the_record(
    register: App, worker: httpx.AsyncClient, home: str
) -> None:
    elsewhere = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    who = await registered(elsewhere, "张三")
    town = register.as_role(Role.TOWN_OFFICER, VILLAGE[:9])
    await moved_in(town, who["id"], home)
    assert refusal(await _said(elsewhere, who, "deceased", date="2026-11-20"))[0] == 404
    assert (await _said(worker, who, "deceased", date="2026-11-20")).status_code == 200
    assert (await worker.get(f"/v1/residents/{who['id']}")).status_code == 200
    assert (await elsewhere.get(f"/v1/residents/{who['id']}")).status_code == 404


async def test_a_ledger_revives_nobody(worker: httpx.AsyncClient, home: str) -> None:
    born = number("1990-05-01", 2)
    await succeeded(worker, person("张三", born, occupation="农民"))
    who = next(one for one in await found(worker, name="张三"))
    await _said(worker, who, "deceased", date="2026-11-20")
    job = await succeeded(worker, person("张三", born, occupation="教师", room="9"))
    assert list((await codes(worker, job)).values()) == [["resident.elsewhere"]]
    after = (await worker.get(f"/v1/residents/{who['id']}")).json()
    assert (after["state"], after["occupation"]) == ("deceased", "农民")
    assert [one["state"] for one in await occupancies(worker, who["id"])] == ["ended", "pending"]


async def test_a_passport_does_not_hide_somebody_from_their_number(
    worker: httpx.AsyncClient, home: str
) -> None:
    who = await registered(worker, "张三", birth_date="1990-05-01")
    await moved_in(worker, who["id"], home)
    passport = {"kind": "passport", "number": "E12345678", "issuing_country": "chn"}
    added = await worker.post(f"/v1/residents/{who['id']}/identity-documents", json=passport)
    assert added.status_code == 201, added.text
    await succeeded(worker, person("张三", number("1990-05-01", 2)))
    (only,) = await found(worker, name="张三")
    assert only["id"] == who["id"]
    assert only["id_number"] is not None
