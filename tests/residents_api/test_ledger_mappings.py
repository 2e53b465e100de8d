"""A village whose ledgers call their columns by names of their own."""

import io
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook

from services.common.access import Role
from tests.houses import App
from tests.residents_api.ledgers import delimited, imported, workbook
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWNS_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    revealed,
)

pytestmark = pytest.mark.usefixtures("divisions")

PATH = f"/v1/ledger-mappings/{VILLAGE}"
OWN = {"户内人员": "name", "登记号": "id_number", "几号": "room", "联系电话": None}
ROWS = [
    ["小区", "几号", "* 户内人员", "登记号", "联系电话"],
    ["金沙小区", "101", "张三", number(), "13812345678"],
    ["金沙小区", "102", "李四", "519900199001011230", ""],
]


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE, sub="account:worker")


async def saved(client: httpx.AsyncClient, columns: dict[str, Any]) -> httpx.Response:
    return await client.put(PATH, json={"columns": columns})


@pytest.mark.parametrize("as_workbook", [True, False])
async def test_a_ledger_is_read_by_its_own_words(
    worker: httpx.AsyncClient, as_workbook: bool
) -> None:
    file = workbook(表=ROWS) if as_workbook else delimited(ROWS)
    assert (await imported(worker, file))["failure"] == "ledger.no_header"
    assert (await saved(worker, OWN)).status_code == 200
    job = await imported(worker, file)
    assert (job["state"], job["rows_accepted"], job["rows_rejected"]) == ("succeeded", 1, 1)
    (known,) = await found(worker, id_number=number())
    plain = await revealed(worker, known["id"])
    # What is said to mean nothing is left alone, though everybody else understands it.
    assert (plain["name"], plain["phones"]) == ("张三", [])
    outcome = await worker.get(f"/v1/imports/{job['id']}/outcome")
    book = CalamineWorkbook.from_filelike(io.BytesIO(outcome.content))
    rows = book.get_sheet_by_name(book.sheet_names[0]).to_python()
    assert [row[-2] for row in rows] == ["导入结果", "新增", "未导入"]
    # An import keeps to what was said when it was asked for; others do not.
    assert (await saved(worker, {})).status_code == 200
    assert (await worker.get(f"/v1/imports/{job['id']}/outcome")).status_code == 200
    assert (await imported(worker, file))["failure"] == "ledger.no_header"


async def test_it_holds_for_the_village_only(register: App, worker: httpx.AsyncClient) -> None:
    await saved(worker, OWN)
    officer = register.as_role(Role.TOWN_OFFICER, TOWN)
    job = await imported(officer, delimited(ROWS), village=NEXT_VILLAGE)
    assert job["failure"] == "ledger.no_header"


async def test_a_mapping_is_shown_and_replaced(worker: httpx.AsyncClient) -> None:
    empty: dict[str, Any] = {
        "village_code": VILLAGE,
        "columns": {},
        "updated_by": None,
        "updated_at": None,
    }
    assert (await worker.get(PATH)).json() == empty
    answer = await saved(worker, OWN)
    assert answer.json()["columns"] == OWN
    assert answer.json()["updated_by"] == "account:worker"
    assert (await worker.get(PATH)).json() == answer.json()
    await saved(worker, {"人": "name"})
    assert (await worker.get(PATH)).json()["columns"] == {"人": "name"}


async def test_faults_are_pointed_at(worker: httpx.AsyncClient, register: App) -> None:
    answer = await saved(worker, {"人": "name", "岁数": "age"})
    assert fault(answer) == ("/columns/岁数", "literal_error")
    for columns in ({"姓 名": "name", "*姓名": "note"}, {"**": "name"}):
        assert fault(await saved(worker, columns)) == ("/columns", "columns.repeated")
    other = register.as_role(Role.COMMUNITY_WORKER, OTHER_TOWNS_VILLAGE)
    assert refusal(await other.get(PATH)) == (403, "area.forbidden")
    assert refusal(await saved(other, OWN)) == (403, "area.forbidden")
    city = register.as_role(Role.CITY_OFFICER)
    nowhere = await city.get("/v1/ledger-mappings/510182999999")
    assert refusal(nowhere) == (404, "division.not_found")
