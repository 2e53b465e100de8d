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
    ]
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
        "labels": [],
        "places": [
            {
                "division_code": VILLAGE,
                "grid_code": f"{VILLAGE}007",
                "compound_id": compound["id"],
                "tenure": "tenant",
                "start_date": "2020-05-01",
                "end_date": None,
            }
        ],
    }
