"""`/openapi.json` and `/docs`: whole, and without the internet."""

import io
import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import Upstream, contract
from tests.houses import SERVICE_TOKEN


@pytest.fixture(scope="module")
async def front(forwarding: Settings) -> AsyncGenerator[Edge]:
    upstream = Upstream(document=contract({"/v1/things": ["get"]}, title="Things"))
    async with serving(things=upstream) as urls, edge(behind(urls, forwarding)) as opened:
        yield opened


@pytest.fixture
async def document(front: Edge) -> dict[str, Any]:
    return (await front.client.get("/openapi.json")).json()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_document_has_the_gateways_routes_and_the_services(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {
        "/oauth/token", "/v1/sign-out", "/v1/me", "/v1/accounts", "/v1/accounts/{account_id}",
        "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/v1/things",
    } == document["paths"].keys()  # fmt: skip
    assert document["servers"] == [{"url": "/", "description": "This gateway"}]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert "#/components/schemas/Problem" in found
    for reference in found:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_tokens_are_documented_in_their_own_form(document: dict[str, Any]) -> None:
    operation = document["paths"]["/oauth/token"]["post"]
    assert operation["operationId"] == "create_token"
    form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["grant_type"]
    assert form["properties"]["grant_type"]["enum"] == [
        "password", "client_credentials", "refresh_token",
    ]  # fmt: skip
    for status in ("400", "401", "429", "503"):
        content = operation["responses"][status]["content"]
        assert content.keys() == {"application/json"}
    assert operation["security"] == []


def test_who_must_sign_in_is_documented(document: dict[str, Any]) -> None:
    me = document["paths"]["/v1/me"]["get"]
    assert me["security"] == [{"bearer": []}, {"sign_in": []}]
    accounts = document["paths"]["/v1/accounts"]["get"]
    assert accounts["security"] == [{"bearer": []}, {"sign_in": ["accounts.write"]}]
    assert {"401", "403"} <= accounts["responses"].keys()


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = {
        tag
        for item in document["paths"].values()
        for operation in item.values()
        for tag in operation["tags"]
    }
    assert used == described


async def test_the_document_is_sent_once(front: Edge) -> None:
    first = await front.client.get("/openapi.json")
    tag = first.headers["etag"]
    for seen in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await front.client.get("/openapi.json", headers={"If-None-Match": seen})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    changed = await front.client.get("/openapi.json", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


async def test_head_of_the_gateways_own(front: Edge) -> None:
    for path in ("/openapi.json", "/docs", "/livez", "/.well-known/jwks.json"):
        answered = await front.client.head(path)
        assert (answered.status_code, answered.content) == (200, b""), path


async def test_the_docs_ask_nobody_else(front: Edge) -> None:
    page = await front.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert not re.search(r"(https?:)?//", page.text)
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 4
    for file in files:
        answered = await front.client.get(file)
        assert answered.status_code == 200, file
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert len(answered.content) > 100
    start = (await front.client.get("/docs/start.js")).text
    assert not re.search(r"(https?:)?//", start)
    assert "validatorUrl: null" in start
    assert "persistAuthorization: true" in start


async def test_the_docs_files_have_their_types(front: Edge) -> None:
    expected = {
        "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "/docs/start.js": "text/javascript; charset=utf-8",
        "/docs/swagger-ui.css": "text/css; charset=utf-8",
        "/docs/favicon.png": "image/png",
    }
    for path, kind in expected.items():
        answered = await front.client.get(path)
        assert answered.headers["content-type"] == kind


@pytest.mark.parametrize("name", ["redoc.standalone.js", "x", "start", "..", "core.py"])
async def test_no_other_file_is_shown(front: Edge, name: str) -> None:
    assert (await front.client.get(f"/docs/{name}")).status_code == 404


async def test_metrics_count_by_template_and_need_a_service_token(front: Edge) -> None:
    await front.client.get("/v1/things?name=secret")
    await front.client.get("/v1/accounts/0199")
    assert (await front.client.get("/metrics")).status_code == 401
    answered = await front.client.get(
        "/metrics", headers={"Authorization": f"Bearer {SERVICE_TOKEN}"}
    )
    assert 'http_requests_total{method="GET",route="/v1/things",status="200"} 1.0' in answered.text
    assert 'route="/v1/accounts/{account_id}",status="401"} 1.0' in answered.text
    assert "secret" not in answered.text


async def test_the_log_has_templates_and_no_paths(front: Edge, logs: io.StringIO) -> None:
    await front.client.get("/v1/things?name=zhangsan")
    await front.client.get("/v1/zhangsan")
    said = logs.getvalue()
    assert json.loads(said.splitlines()[0])["route"] == "/v1/things"
    assert "zhangsan" not in said


async def test_browsers_elsewhere_are_let_in_by_name_only(forwarding: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/things": ["get"]}))
    origin = "https://app.example"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, if-match",
    }
    async with serving(things=upstream) as urls:
        settings = behind(urls, forwarding)
        async with edge(settings) as closed:
            answered = await closed.client.get("/v1/things", headers={"Origin": origin})
            assert "access-control-allow-origin" not in answered.headers
        async with edge(settings.model_copy(update={"cors_origins": [origin]})) as opened:
            answered = await opened.client.get("/v1/things", headers={"Origin": origin})
            assert answered.headers["access-control-allow-origin"] == origin
            assert "Position" in answered.headers["access-control-expose-headers"]
            answered = await opened.client.options("/v1/things", headers=preflight)
            assert answered.status_code == 200
            assert answered.headers["access-control-allow-origin"] == origin
            answered = await opened.client.get("/v1/things", headers={"Origin": "https://x.test"})
            assert "access-control-allow-origin" not in answered.headers
