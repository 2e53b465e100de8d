"""The ledger of 金沙社区 against its answer key, row by row."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.residents_api.domain.ledger import LedgerRow
from tests.residents_api.domain import ledgers
from tests.residents_api.domain.folding import duplicates, fold

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    return json.loads((DATA / "ledger_jinsha.expected.json").read_text())


@pytest.fixture(scope="module")
def rows() -> list[LedgerRow]:
    return ledgers.read(DATA / "ledger_jinsha.xlsx", today=date(2026, 11, 23))


def test_every_row_has_its_codes(rows: list[LedgerRow], key: dict[str, Any]) -> None:
    repeated = duplicates(rows)
    found = {
        row.row: ("rejected" if row.rejected else "accepted", codes)
        for row in rows
        if (codes := [*row.codes, *["row.duplicate"] * ((row.sheet, row.row) in repeated)])
    }
    assert found == {entry["row"]: (entry["outcome"], entry["codes"]) for entry in key["key"]}


def test_rows_persons_and_dwellings_are_counted(rows: list[LedgerRow], key: dict[str, Any]) -> None:
    accepted = [row for row in rows if not row.rejected]
    assert len(rows) == key["rows"]
    assert len(accepted) == key["accepted"]
    assert len(rows) - len(accepted) == key["rejected"]
    assert len(fold(rows)) == key["residents"]
    assert len({row.dwelling for row in accepted}) == key["dwellings"]
    # The footer is the 224th row of the sheet and no person.
    assert [row.row for row in rows] == list(range(4, 223))


def test_a_person_in_two_dwellings_has_two_occupancies(rows: list[LedgerRow]) -> None:
    twice = [person for person in fold(rows) if len(person.occupancies) > 1]
    assert [[row.row for row in person.rows] for person in twice] == [[12, 103]]


def test_what_one_row_says(rows: list[LedgerRow]) -> None:
    row = rows[135]
    assert row.row == 139
    (other,) = (row for row in rows if row.row == 138)
    assert other.phones == ("+8618273812551", "+8618715763573")
    assert (other.compound, other.building, other.unit, other.room) == ("金沙小区", "5", "1", "102")
    (wide,) = (row for row in rows if row.row == 120)
    assert wide.id_number == "519902198504271813"
    (spaced,) = (row for row in rows if row.row == 129)
    assert (spaced.name, spaced.id_number) == ("刘静", "51990219811230943X")
    (formula,) = (row for row in rows if row.row == 160)
    assert formula.note == '=HYPERLINK("x","y")'
    (labelled,) = (row for row in rows if row.row == 7)
    assert labelled.labels == ("志愿者", "书法爱好")
    assert labelled.education == "master"
    assert labelled.start_date == date(2019, 6, 1)
