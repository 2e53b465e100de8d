"""The contract of a service: what every route takes, answers and may refuse."""

from typing import Any

import pytest

from services.common.access import Role
from tests.common import board as board_app
from tests.common.board import create_app
from tests.houses import App


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Made without a database: nothing happens on import, nor when the app is built."""
    return create_app(lambda _: pytest.fail("not opened")).openapi()


def codes(operation: dict[str, Any], status: int) -> set[str]:
    return set(
        operation["responses"][str(status)]["content"]["application/problem+json"]["examples"]
    )


def test_operations_are_called_as_their_endpoints(document: dict[str, Any]) -> None:
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert sorted(ids) == sorted({route.name for route in board_app.router.routes})  # type: ignore[attr-defined]
    assert document["openapi"].startswith("3.1")


def test_what_only_neighbours_see_is_not_in_it(document: dict[str, Any]) -> None:
    assert all(path.startswith("/v1/") for path in document["paths"])


def test_a_write_says_everything_it_may_refuse(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/notes"]["post"]
    assert codes(operation, 400) == {"request.malformed"}
    assert codes(operation, 401) == {"token.missing", "token.invalid"}
    assert codes(operation, 403) == {"role.forbidden"}
    assert codes(operation, 409) == {"note.text_taken"}
    assert codes(operation, 413) == {"request.too_large"}
    assert codes(operation, 422) == {"request.invalid", "idempotency_key.reused"}
    assert codes(operation, 503) == {"service.unavailable"}
    assert operation["security"] == [{"bearer": []}]
    assert operation["x-permission"] == "reports.handle"
    assert "Idempotency-Key" in {p["name"] for p in operation["parameters"]}


def test_a_read_has_no_body_and_no_key(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/notes"]["get"]
    assert set(operation["responses"]) == {"200", "401", "403", "422", "503"}
    assert {p["name"] for p in operation["parameters"]} == {"page_size", "page_token"}
    # Nor has a POST that only reads.
    reading = document["paths"]["/v1/anything"]["post"]
    assert "Idempotency-Key" not in {p["name"] for p in reading.get("parameters", ())}
    # Nor one whose answer is kept nowhere.
    secret = document["paths"]["/v1/notes/{note_id}/reveal"]["post"]
    assert "Idempotency-Key" not in {p["name"] for p in secret["parameters"]}
    assert codes(secret, 422) == {"request.invalid"}


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]
                    content = response["content"]["application/problem+json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                    for code, example in content["examples"].items():
                        assert example["value"]["code"] == code
                        assert example["value"]["status"] == int(status)
                        assert example["value"]["instance"].startswith("urn:request:")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found.add(reference)
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    schemas = document["components"]["schemas"]
    assert found == {f"#/components/schemas/{name}" for name in schemas if name in _used(found)}
    assert found
    assert not {"HTTPValidationError", "ValidationError", "ProblemRead"} & set(schemas)


def _used(references: set[str]) -> set[str]:
    return {reference.rpartition("/")[2] for reference in references}


async def test_a_refusal_fits_the_contract(board: App, document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    for answer in (
        await board.client().get("/v1/notes"),
        await board.as_role(Role.COMMUNITY_WORKER).post("/v1/notes", json={}),
    ):
        body = answer.json()
        assert set(problem["required"]) <= set(body) <= set(problem["properties"])
    fault = document["components"]["schemas"]["FieldErrorRead"]
    assert set(body["errors"][0]) == set(fault["required"])


def test_the_document_is_made_once(document: dict[str, Any]) -> None:
    app = create_app(lambda _: pytest.fail("not opened"))
    assert app.openapi() is app.openapi()
    assert app.openapi() == document
