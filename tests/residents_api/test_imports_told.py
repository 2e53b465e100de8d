"""What an import tells the neighbours."""

from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api import ledgers
from tests.residents_api.feeds import (
    RESIDENT_CHANGED,
    areas_told,
    events,
    position,
    snapshot,
    states,
)
from tests.residents_api.ledgers import (
    counts,
    person,
    succeeded,
)
from tests.residents_api.people import (
    VILLAGE,
    found,
    number,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _only(client: httpx.AsyncClient, **terms: Any) -> dict[str, Any]:
    (item,) = await found(client, **terms or {"name": "张"})
    return item


async def test_the_position_covers_what_was_imported(
    register: App, worker: httpx.AsyncClient
) -> None:
    start = await position(register)
    job = await succeeded(
        worker,
        *(person(f"张{n}", number(sequence=n), room=str(n), grid="3") for n in range(1, 8)),
    )
    told = await states(register, start)
    assert len({state["id"] for state in told}) == len(told) == 7
    service, epoch, last = job["position"].split(".")
    assert service == "residents_api"
    page = await register.as_service().get("/internal/feed", params={"after": f"{epoch}.{last}"})
    assert page.json()["events"] == []
    areas = await areas_told(register, start)
    assert [(area["kind"], area["name"]) for area in areas] == [
        ("grid", f"{VILLAGE}003"),
        ("compound", ledgers.COMPOUND),
        ("compound", ledgers.COMPOUND),
    ]
    assert areas[-1]["population"] == 7
    assert {area["village_code"] for area in areas} == {VILLAGE}
    # Everything again changes nothing, so there is nothing to tell.
    before = await position(register)
    again = await succeeded(
        worker,
        *(person(f"张{n}", number(sequence=n), room=str(n), grid="3") for n in range(1, 8)),
    )
    assert counts(again) == (0, 0, 7)
    assert await events(register, before) == []


async def test_labels_are_added_and_never_removed(worker: httpx.AsyncClient, register: App) -> None:
    start = await position(register)
    await succeeded(worker, person("张三", number(), labels="退役军人、党员"))
    await succeeded(worker, person("张三", number(), labels="党员,志愿者 12345678901"))
    await succeeded(worker, person("张三", number()))
    told = await states(register, start)
    assert [sorted(state["labels"]) for state in told] == [
        ["党员", "退役军人"],
        ["党员", "志愿者", "退役军人"],
    ]
    assert (await snapshot(register))[RESIDENT_CHANGED] == told[-1:]


async def test_a_state_says_the_allowed_and_no_more(
    worker: httpx.AsyncClient, register: App
) -> None:
    start = await position(register)
    row = person(
        "张三",
        number("1990-05-01", 2),
        phones="13800000000",
        education="本科",
        population_type="流动",
        tenure="租住",
        start_date="2020-05-01",
        grid="7",
        employer="甲厂",
        registered_address="一号",
        note="备注",
        occupation="农民",
    )
    await succeeded(worker, row)
    (state,) = await states(register, start)
    (compound,) = (await worker.get("/v1/compounds")).json()["items"]
    (dwelling,) = (await worker.get("/v1/dwellings")).json()["items"]
    assert state == {
        "id": (await _only(worker))["id"],
        "version": 1,
        "sex": "female",
        "birth_date": "1990-05-01",
        "population_type": "floating",
        "ethnicity": None,
        "education": "undergraduate",
        "marital_status": None,
        "political_status": None,
        # Who keeps the record: it says who may label a resident who lives nowhere known.
        "state": "active",
        "merged_into": None,
        "keeper": {"division_code": VILLAGE, "grid_code": None, "compound_id": None},
        "labels": [],
        "places": [
            {
                "dwelling_id": dwelling["id"],
                "division_code": VILLAGE,
                "grid_code": f"{VILLAGE}007",
                "compound_id": compound["id"],
                "tenure": "tenant",
                "start_date": "2020-05-01",
                "end_date": None,
                "lease_end_date": None,
            }
        ],
    }


async def test_a_state_says_who_keeps_somebody_who_lives_nowhere(
    worker: httpx.AsyncClient, register: App
) -> None:
    await succeeded(worker, person("张三", number()))
    (compound,) = (await worker.get("/v1/compounds")).json()["items"]
    start = await position(register)
    await registered(worker, "李四")
    of_compound = register.as_role(Role.COMMUNITY_WORKER, compound["id"])
    await registered(of_compound, "王五")
    told = await states(register, start)
    kept: dict[str, Any] = {"division_code": VILLAGE, "grid_code": None, "compound_id": None}
    assert [(s["keeper"], s["places"]) for s in told] == [
        (kept, []),
        ({**kept, "compound_id": compound["id"]}, []),
    ]


async def test_a_grid_said_later_is_the_dwellings_and_of_all_who_live_there(
    worker: httpx.AsyncClient, register: App
) -> None:
    await succeeded(worker, person("张三", number()), person("李四", number(sequence=2)))
    grid = register.as_role(Role.COMMUNITY_WORKER, f"{VILLAGE}007")
    assert (await grid.get("/v1/dwellings")).json()["items"] == []
    start = await position(register)
    said = [person("张三", number(), grid="7"), person("王五", number(sequence=3), grid="7")]
    job = await succeeded(worker, *said)
    assert counts(job) == (1, 1, 0)
    (dwelling,) = (await grid.get("/v1/dwellings")).json()["items"]
    assert dwelling["grid_code"] == f"{VILLAGE}007"
    assert len((await grid.get("/v1/residents")).json()["items"]) == 3
    told = await states(register, start)
    assert sorted((s["version"], s["places"][0]["grid_code"]) for s in told) == [
        (1, f"{VILLAGE}007"),
        (2, f"{VILLAGE}007"),
        (2, f"{VILLAGE}007"),
    ]
    # Said once, it is known; another one does not move the dwelling.
    before = await position(register)
    assert counts(await succeeded(worker, *said)) == (0, 0, 2)
    await succeeded(worker, person("张三", number(), grid="8"))
    assert [s["places"][0]["grid_code"] for s in await states(register, before)] == []
    assert (await grid.get("/v1/dwellings")).json()["items"] == [dwelling]
