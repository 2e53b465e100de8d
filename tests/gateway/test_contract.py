"""One document out of many."""

from typing import Any

import pytest

from services.gateway.domain.contract import SIGN_IN, merged
from services.gateway.errors import RoutesConflict
from tests.gateway.servers import contract

REFERENCE = "#/components/schemas/"


def service(title: str, schemas: dict[str, Any], *, answers: str = "") -> dict[str, Any]:
    """A document with one path whose answer is the schema named."""
    document = contract({f"/v1/{title.lower()}": ["get"]}, title=title)
    document["components"] = {"schemas": schemas}
    operation = document["paths"][f"/v1/{title.lower()}"]["get"]
    operation["responses"]["200"]["content"] = {
        "application/json": {"schema": {"$ref": REFERENCE + answers}}
    }
    return document


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def answer_of(document: dict[str, Any], path: str) -> str:
    response = document["paths"][path]["get"]["responses"]["200"]
    return response["content"]["application/json"]["schema"]["$ref"].removeprefix(REFERENCE)


def test_the_same_schema_is_one() -> None:
    document = merged(
        {
            "a_api": service("As", {"Status": text()}, answers="Status"),
            "b_api": service("Bs", {"Status": text()}, answers="Status"),
        }
    )
    assert document["components"]["schemas"] == {"Status": text()}
    assert answer_of(document, "/v1/as") == answer_of(document, "/v1/bs") == "Status"


def test_different_schemas_of_one_name_are_told_apart() -> None:
    document = merged(
        {
            "as_api": service("As", {"Status": text()}, answers="Status"),
            "bs_api": service("Bs", {"Status": text(maxLength=1)}, answers="Status"),
            "cs_api": service("Cs", {"Other": text()}, answers="Other"),
        }
    )
    assert document["components"]["schemas"] == {
        "AsStatus": text(),
        "BsStatus": text(maxLength=1),
        "Other": text(),
    }
    assert answer_of(document, "/v1/as") == "AsStatus"
    assert answer_of(document, "/v1/bs") == "BsStatus"


def test_what_refers_to_a_different_schema_is_different() -> None:
    def paged(status: dict[str, Any]) -> dict[str, Any]:
        item = {"properties": {"status": {"$ref": REFERENCE + "Status"}}}
        page = {"properties": {"items": {"items": {"$ref": REFERENCE + "Item"}}}}
        return {"Page": page, "Item": item, "Status": status, "Same": text()}

    document = merged(
        {
            "as_api": service("As", paged(text()), answers="Page"),
            "bs_api": service("Bs", paged(text(maxLength=1)), answers="Page"),
        }
    )
    schemas = document["components"]["schemas"]
    assert schemas.keys() == {
        "AsPage", "AsItem", "AsStatus", "BsPage", "BsItem", "BsStatus", "Same",
    }  # fmt: skip
    items = schemas["BsPage"]["properties"]["items"]["items"]
    assert items == {"$ref": REFERENCE + "BsItem"}


def test_a_discriminator_follows_its_schemas() -> None:
    def choice(cat: dict[str, Any]) -> dict[str, Any]:
        mapping = {"cat": REFERENCE + "Cat"}
        return {"Pet": {"discriminator": {"mapping": mapping}}, "Cat": cat}

    document = merged(
        {
            "as_api": service("As", choice(text()), answers="Pet"),
            "bs_api": service("Bs", choice(text(maxLength=1)), answers="Pet"),
        }
    )
    pet = document["components"]["schemas"]["AsPet"]
    assert pet["discriminator"]["mapping"] == {"cat": REFERENCE + "AsCat"}


def test_an_operation_id_is_used_once() -> None:
    first, second = (contract({f"/v1/{title}": ["get"]}, title="same") for title in ("a", "b"))
    with pytest.raises(RoutesConflict, match=r"'get_same_0' is used twice: by a_api .* and by b_"):
        merged({"a_api": first, "b_api": second})


def test_components_of_other_kinds_do_not_contradict() -> None:
    first, second = service("As", {"X": text()}, answers="X"), service("Bs", {}, answers="X")
    first["components"]["securitySchemes"] = {"bearer": {"type": "http"}}
    second["components"]["securitySchemes"] = {"bearer": {"type": "apiKey"}}
    with pytest.raises(RoutesConflict, match="bearer"):
        merged({"a": first, "b": second})


def test_what_is_not_public_is_left_out() -> None:
    document = merged({"a": contract({"/internal/feed": ["get"], "/v1/a": ["get"]})})
    assert list(document["paths"]) == ["/v1/a"]


def test_tags_are_described() -> None:
    described = contract({"/v1/a": ["get"]}, title="As")
    described["tags"] = [{"name": "as", "description": "All about as."}]
    document = merged({"a": described, "b": contract({"/v1/b": ["get"]}, title="Bs")})
    assert document["tags"] == [
        {"name": "as", "description": "All about as."},
        {"name": "bs", "description": "Bs"},
    ]


def test_a_bearer_token_may_come_from_oauth() -> None:
    guarded = contract({"/v1/a": ["get"], "/v1/open": ["get"]}, title="As")
    operation = guarded["paths"]["/v1/a"]["get"]
    operation |= {"security": [{"bearer": []}], "x-permission": "reports.read"}
    document = merged({"a": guarded})
    security = document["paths"]["/v1/a"]["get"]["security"]
    assert security == [{"bearer": []}, {SIGN_IN: ["reports.read"]}]
    assert "security" not in document["paths"]["/v1/open"]["get"]
    flows = document["components"]["securitySchemes"][SIGN_IN]["flows"]
    assert flows["password"]["tokenUrl"] == "/oauth/token"


def test_the_services_documents_are_not_changed() -> None:
    given = service("As", {"Status": text()}, answers="Status")
    before = repr(given)
    merged({"as_api": given, "b": service("Bs", {"Status": text(maxLength=1)}, answers="Status")})
    assert repr(given) == before
