"""docs/access.md says what the code does."""

from services.cli import access_table
from services.cli.commands.access import DOCUMENT


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == access_table.document(), "run `shequ access`"


def test_nobody_but_those_of_the_city_sees_persons() -> None:
    rows = {
        line.split("`")[1]: [cell.strip() for cell in line.split("|")[2:-1]]
        for line in access_table.document().splitlines()
        if line.startswith("| `residents.")
    }
    # resident, grid_worker, community_worker, town_officer, city_officer, auditor, admin, client
    assert rows["residents.read"] == ["", "●", "●", "●", "●", "", "", "●"]
    assert rows["residents.reveal"] == ["", "●", "●", "●", "●", "", "", ""]


def test_every_route_is_listed_with_what_it_needs() -> None:
    document = access_table.document()
    assert "| `POST /v1/imports` | `residents.import` |" in document
    assert "| `GET /v1/me` | any account or client |" in document
    assert "| `GET /.well-known/jwks.json` | none |" in document
    assert "| `POST /oauth/token` | none |" in document
