"""What the gateway refuses, and how: always problem+json, never a 500."""

from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.journeys.conftest import RunningTown

OUTSIDE = "510182104005"


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def test_who_may_not(town: RunningTown) -> None:
    nobody, worker = town.client(), town.as_account("village")
    assert code(await nobody.get("/v1/residents")) == (401, "token.missing")
    foreign = town.client("eyJhbGciOiJub25lIn0.e30.")
    assert code(await foreign.get("/v1/residents")) == (401, "token.invalid")
    outside = await worker.get("/v1/residents", params={"area": OUTSIDE})
    assert code(outside) == (403, "area.forbidden")
    for account in ("auditor", "admin", "resident"):
        refused = await town.as_account(account).get("/v1/residents")
        assert code(refused) == (403, "role.forbidden")
    elsewhere = await town.as_account("town").get("/v1/residents", params={"area": OUTSIDE})
    somebody = elsewhere.json()["items"][0]["id"]
    unseen = await worker.get(f"/v1/residents/{somebody}")
    assert code(unseen) == (404, "resident.not_found")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (400, "request.malformed")),
        (b"[" * 100_000, (400, "request.malformed")),
        (b'{"name": "a", "unknown": 1}', (422, "request.invalid")),
        (b'{"name": 7}', (422, "request.invalid")),
        (b'{"name": "a\\u0000b"}', (422, "request.invalid")),
        (b'{"name": "\\ud800"}', (422, "request.invalid")),
        (b'{"name": "a", "page_size": 1e400}', (422, "request.invalid")),
        (b'{"name": "a", "page_size": ' + b"9" * 5000 + b"}", (400, "request.malformed")),
        (b'{"name": "' + b"a" * 2_000_000 + b'"}', (413, "request.too_large")),
        (b"\xff\xfe", (400, "request.malformed")),
    ],
)
async def test_bad_bodies(town: RunningTown, body: bytes, expected: Any) -> None:
    worker = town.as_account("village")
    headers = {"Content-Type": "application/json"}
    answer = await worker.post("/v1/residents/search", content=body, headers=headers)
    assert code(answer) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/internal/feed",
        "/v1/../internal/feed",
        "/v1/%2e%2e/internal/feed",
        "//internal/feed",
        "/v2",
    ],
)
async def test_what_is_not_public_does_not_pass(town: RunningTown, path: str) -> None:
    # As it is: the client itself would tidy the path up.
    headers = {"Authorization": f"Bearer {town.token('city')}"}
    request = httpx.Request("GET", town.url + path, headers=headers)
    answer = await town.client().send(request)
    assert code(answer) == (404, "route.not_found")


async def test_one_contract(town: RunningTown) -> None:
    nobody = town.client()
    document = (await nobody.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) > 35
    for operation in operations:
        assert any(int(status) >= 400 for status in operation["responses"]), operation
        assert operation["tags"], operation["operationId"]
    docs = (await nobody.get("/docs")).text
    assert "http://" not in docs.replace("http://www.w3.org", "")
    assert "https://" not in docs


@pytest.mark.parametrize("account", ["town", "resident"])
def test_nothing_the_contract_allows_is_a_500(running_town: RunningTown, account: str) -> None:
    town = running_town
    schema = schemathesis.openapi.from_dict(httpx.get(f"{town.url}/openapi.json").json())
    headers = {"Authorization": f"Bearer {town.token(account)}"}
    failed: set[str] = set()
    tried = 0
    session = requests.Session()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/v1/sign-out":
            continue

        @settings(
            max_examples=8,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            deadline=None,
            derandomize=True,
            database=None,
        )
        @given(case=operation.as_strategy())
        def attempt(case: schemathesis.Case) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(base_url=town.url, headers=headers, timeout=30, session=session)
            if answer.status_code >= 500:
                failed.add(f"{case.operation.label}: {answer.status_code}")

        attempt()
    session.close()
    assert not failed
    assert tried > 100
