"""Whatever is sent, the answer is a problem that says what is wrong with it, and never a 500."""

import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.access import Role
from tests.common.board import MAX_BODY_BYTES
from tests.houses import App

JSON = {"content-type": "application/json"}


@pytest.fixture
def board(standing_board: App) -> App:
    return standing_board


async def refusal(
    client: httpx.AsyncClient, content: Any, path: str = "/v1/notes", **headers: str
) -> tuple[int, str]:
    answer = await client.post(path, content=content, headers={**JSON, **headers})
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["instance"].startswith("urn:request:")
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"nonsense", b"{'text': 'a'}", b'{"text": "a"} x', b'{"text": "\xff"}', b"\x00",
     b"\xfe\xff\x00{", b"[" * 10_000, b'{"a":' * 3_000,
     b'{"rank": ' + b"1" * 5_000 + b"}", b'{"text": "\x00"}'],
)  # fmt: skip
async def test_what_is_no_json(worker: httpx.AsyncClient, content: bytes) -> None:
    assert await refusal(worker, content) == (400, "request.malformed")


@pytest.mark.parametrize(
    ("content", "pointer", "code"),
    [
        (b"", "", "missing"),
        (b"null", "", "model_attributes_type"),
        (b"[]", "", "model_attributes_type"),
        (b'"text"', "", "model_attributes_type"),
        (b"1", "", "model_attributes_type"),
        (b"{}", "/text", "missing"),
        (b'{"text": null}', "/text", "string_type"),
        (b'{"text": 1}', "/text", "string_type"),
        (b'{"text": "  "}', "/text", "string_too_short"),
        (b'{"text": "' + b"x" * 201 + b'"}', "/text", "string_too_long"),
        (b'{"text": "a\\u0000b"}', "/text", "text.control_character"),
        (b'{"text": "a\\u001bb"}', "/text", "text.control_character"),
        (b'{"text": "a\\u007fb"}', "/text", "text.control_character"),
        (b'{"text": "a\\u0085b"}', "/text", "text.control_character"),
        (b'{"text": "a\\nb"}', "/text", "text.line_break"),
        (b'{"text": "a\\rb"}', "/text", "text.line_break"),
        (b'{"text": "a\\tb"}', "/text", "text.line_break"),
        (b'{"text": "a\\u2028b"}', "/text", "text.line_break"),
        (b'{"text": "\\ud800"}', "/text", "string_unicode"),
        (b'{"text": "a", "more": 1}', "/more", "extra_forbidden"),
        (b'{"text": "a", "a/b~c": 1}', "/a~1b~0c", "extra_forbidden"),
        (b'{"text": "a", "rank": "1e5"}', "/rank", "int_parsing"),
        (b'{"text": "a", "rank": 1.5}', "/rank", "int_from_float"),
        (b'{"text": "a", "rank": 1e400}', "/rank", "finite_number"),
        (b'{"text": "a", "rank": NaN}', "/rank", "finite_number"),
        (b'{"text": "a", "rank": -Infinity}', "/rank", "finite_number"),
        (b'{"text": "a", "rank": 99999999999999999999}', "/rank", "less_than_equal"),
        (b'{"text": "a", "rank": -2}', "/rank", "greater_than_equal"),
        (b'{"text": "a", "answers": "x"}', "/answers", "uuid_parsing"),
        (b'{"text": "a", "answers": 1}', "/answers", "uuid_type"),
        (b'{"text": "a", "area": "5101821"}', "/area", "area.malformed"),
        (b'{"text": "a", "area": ["51"]}', "/area", "area.malformed"),
    ],
)
async def test_what_does_not_fit_is_pointed_at(
    worker: httpx.AsyncClient, content: bytes, pointer: str, code: str
) -> None:
    answer = await worker.post("/v1/notes", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert error["detail"]


async def test_of_two_equal_keys_the_last_one_counts(worker: httpx.AsyncClient) -> None:
    text = uuid4().hex
    content = b'{"text": "a", "text": "' + text.encode() + b'"}'
    answer = await worker.post("/v1/notes", content=content, headers=JSON)
    assert answer.json()["text"] == text


async def test_a_key_that_cannot_be_written_is_refused(worker: httpx.AsyncClient) -> None:
    content = b'{"text": "a", "\\ud800": 1}'
    assert await refusal(worker, content) == (422, "request.invalid")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data", "x", "", "application/json-x",
             "application/x-www-form-urlencoded"],
)  # fmt: skip
async def test_json_must_say_that_it_is_json(worker: httpx.AsyncClient, kind: str) -> None:
    answer = await worker.post(
        "/v1/notes", content=b'{"text": "a"}', headers={"content-type": kind}
    )
    assert answer.status_code in {415, 422}
    assert answer.json()["code"] in {"request.media_type", "request.invalid"}


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "a/b+json"]
)
async def test_json_under_other_names(worker: httpx.AsyncClient, kind: str) -> None:
    answer = await worker.post(
        "/v1/notes", json={"text": uuid4().hex}, headers={"content-type": kind}
    )
    assert answer.status_code == (422 if kind == "a/b+json" else 201)


@pytest.mark.parametrize(
    "content",
    [b'{"number": 2147483648}', b'{"number": 99999999999999999999999}', b'{"number": 1e30}',
     b'{"text": "a\\u0000b"}', b'{"text": "\\ud800"}', b'{"text": "\\udfff\\ud800"}'],
)  # fmt: skip
async def test_what_postgresql_cannot_hold_is_the_callers_fault(
    worker: httpx.AsyncClient, content: bytes
) -> None:
    """Even where an endpoint forgot to bound its input."""
    assert await refusal(worker, content, "/v1/anything") == (422, "request.invalid")


async def test_odd_numbers_that_fit(worker: httpx.AsyncClient) -> None:
    for content in (b'{"fraction": 1e400}', b'{"fraction": NaN}', b'{"fraction": -0.0}'):
        answer = await worker.post("/v1/anything", content=content, headers=JSON)
        assert answer.status_code in {200, 422}


async def test_a_tree_may_be_deep_but_not_too_deep(worker: httpx.AsyncClient) -> None:
    def tree(depth: int) -> bytes:
        return b'{"tree": ' + b"[" * depth + b"]" * depth + b"}"

    answer = await worker.post("/v1/anything", content=tree(50), headers=JSON)
    assert answer.status_code == 200
    for depth in (500, 990, 1_500, 5_000, 9_000):
        answer = await worker.post("/v1/anything", content=tree(depth), headers=JSON)
        assert answer.status_code in {200, 400, 422}, depth


async def chunks(*parts: bytes) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part


async def test_a_body_may_be_as_large_as_its_limit(worker: httpx.AsyncClient) -> None:
    fits = b'{"text": "a"}'.ljust(MAX_BODY_BYTES)
    for content in (fits, chunks(fits[:100], fits[100:])):
        assert (await worker.post("/v1/notes", content=content, headers=JSON)).status_code in {
            201,
            409,
        }


async def test_a_larger_one_is_refused_with_and_without_a_length(worker: httpx.AsyncClient) -> None:
    large = b" " * (MAX_BODY_BYTES + 1)
    assert await refusal(worker, large) == (413, "request.too_large")
    assert await refusal(worker, chunks(large[:100], large[100:])) == (413, "request.too_large")
    keyed = {"idempotency-key": "abc"}
    assert await refusal(worker, large, **keyed) == (413, "request.too_large")
    assert await refusal(worker, chunks(large), **keyed) == (413, "request.too_large")
    for headers in ({}, keyed):
        form = await worker.post("/v1/photographs", files={"photo": ("a", large)}, headers=headers)
        assert (form.status_code, form.json()["code"]) == (413, "request.too_large")


async def test_nothing_more_is_read_of_a_body_that_is_too_large(worker: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1000

    assert await refusal(worker, endless()) == (413, "request.too_large")
    assert read <= MAX_BODY_BYTES // 1000 + 1


@pytest.mark.parametrize(
    "length", ["0", "5", "99999999999999999999999", "-1", "²", "1e3", "0x10", " ", "abc"]
)
async def test_lengths_that_lie(worker: httpx.AsyncClient, length: str) -> None:
    headers: Any = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    answer = await worker.post("/v1/notes", content=b'{"text": "a"}', headers=headers)
    assert answer.status_code in {201, 400, 409, 413}
    if answer.status_code not in {201, 409}:
        assert answer.json()["code"] in {"request.malformed", "request.too_large"}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("area=x", "/query/area"), ("area=%00", "/query/area"), ("area=", "/query/area"),
     ("area=51&area=x", "/query/area"), ("limit=0", "/query/limit"), ("limit=a", "/query/limit"),
     ("limit=" + "9" * 5000, "/query/limit"), ("limit=1.5", "/query/limit"),
     ("limit=%FF", "/query/limit"), ("limit=NaN", "/query/limit")],
)  # fmt: skip
async def test_queries_that_do_not_fit(worker: httpx.AsyncClient, query: str, pointer: str) -> None:
    answer = await worker.get(f"/v1/search?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_odd_queries_that_nobody_asked_for(worker: httpx.AsyncClient) -> None:
    for query in ("%", "&&&", "=", "a=%00", "%FF=%FE", "area=51&%F0", "x" * 5000):
        assert (await worker.get(f"/v1/search?{query}")).status_code in {200, 403, 422}


async def test_many_faults_are_said_at_once_up_to_fifty(worker: httpx.AsyncClient) -> None:
    content = json.dumps({f"field {n}": n for n in range(200)}).encode()
    answer = await worker.post("/v1/notes", content=content, headers=JSON)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 50


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    content=st.binary(max_size=60)
    | anything.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["text", "rank", "answers", "number", "fraction", "tree"]), anything
    ).map(lambda value: json.dumps(value).encode()),
)
async def test_no_body_is_the_servers_fault(board: App, content: bytes) -> None:
    client = board.as_role(Role.COMMUNITY_WORKER)
    for path in ("/v1/notes", "/v1/anything"):
        answer = await client.post(path, content=content, headers=JSON)
        assert answer.status_code < 500, (path, content)
