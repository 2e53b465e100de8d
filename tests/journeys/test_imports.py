"""Ledgers that are cancelled or refused, through the gateway."""

import subprocess
from pathlib import Path

import pytest

from tests.journeys.conftest import SHEQU, RunningTown
from tests.residents_api.ledgers import ended, person, text, uploaded
from tests.residents_api.people import NEXT_VILLAGE, VILLAGE, number


@pytest.fixture
def long_ledger(running_town: RunningTown, tmp_path: Path) -> Path:
    """20,000 people, by the command."""
    ledger = tmp_path / "ledger.csv"
    command = [SHEQU, "synth", ledger, "--residents", "20000", "--village", VILLAGE]
    subprocess.run(command, check=True, capture_output=True, env=running_town.environment)
    return ledger


async def test_a_long_import_is_cancelled(town: RunningTown, long_ledger: Path) -> None:
    worker = town.as_account("village")
    # Only tried: other tests count the people of this town.
    location = await uploaded(worker, long_ledger, dry_run=True, name=long_ledger.name)
    asked = await worker.post(f"{location}/cancel")
    assert asked.status_code == 202, asked.text
    job = await ended(worker, location)
    assert (job["state"], job["failure"]) == ("cancelled", None)
    late = await worker.post(f"{location}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "import.finished")


async def test_a_dry_run_says_what_would_happen(town: RunningTown) -> None:
    worker = town.as_account("village")
    people = (
        person("祝试行", number("1953-07-08", 705), room="9902"),
        person("祝无据", room="9903"),
    )
    job = await ended(
        worker,
        await uploaded(worker, text(*people, encoding="gb18030"), dry_run=True, name="a.csv"),
    )
    assert (job["state"], job["rows_accepted"], job["rows_rejected"]) == ("succeeded", 1, 1)
    found = await worker.post("/v1/residents/search", json={"name": "祝试行"})
    assert found.json()["items"] == []


async def test_who_may_not_import(town: RunningTown) -> None:
    form = {"village_code": NEXT_VILLAGE}
    files = {"file": ("a.csv", text(person("祝外人")))}
    elsewhere = await town.as_account("village").post("/v1/imports", data=form, files=files)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "area.forbidden")
    for account in ("grid", "auditor", "admin", "resident", "platform"):
        refused = await town.as_account(account).post("/v1/imports", data=form, files=files)
        assert (refused.status_code, refused.json()["code"]) == (403, "role.forbidden"), account
