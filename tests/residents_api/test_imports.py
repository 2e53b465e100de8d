"""Ledgers into the register."""

import json
from pathlib import Path

import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.ledgers import VILLAGE, all_items, imported

pytestmark = pytest.mark.usefixtures("divisions")


async def test_the_sample_ledger_gives_its_answer_key(register: App, data: Path) -> None:
    expected = json.loads((data / "ledger_jinsha.expected.json").read_text())
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    job = await imported(worker, data / "ledger_jinsha.xlsx")
    rows = [row async for row in all_items(worker, f"/v1/imports/{job['id']}/rows", has_codes=True)]
    found = [{"row": r["row"], "outcome": r["outcome"], "codes": r["codes"]} for r in rows]
    assert found == [{k: r[k] for k in ("row", "outcome", "codes")} for r in expected["key"]]
    assert job["state"] == "succeeded"
    assert job["rows_total"] == expected["rows"]
    assert job["rows_accepted"] == expected["accepted"]
    assert job["rows_rejected"] == expected["rejected"]
    assert job["residents_created"] == expected["residents"]
    assert job["dwellings_created"] == expected["dwellings"]
    assert job["occupancies_created"] == 209
    assert (job["residents_updated"], job["residents_unchanged"]) == (0, 0)


async def test_the_same_file_twice_changes_nothing(register: App, data: Path) -> None:
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    first = await imported(worker, data / "ledger_jinsha.xlsx")
    again = await imported(worker, data / "ledger_jinsha.xlsx")
    assert again["residents_unchanged"] == first["residents_created"]
    for count in ("residents_created", "residents_updated", "dwellings_created"):
        assert again[count] == 0
    assert again["occupancies_created"] == 0
