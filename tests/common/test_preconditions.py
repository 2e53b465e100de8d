"""Nobody overwrites what they have not read."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from services.common.access import Role
from services.common.preconditions import etag
from tests.houses import App


async def test_an_update_needs_the_version_that_was_read(
    board: App, worker: httpx.AsyncClient
) -> None:
    made = await worker.post("/v1/notes", json={"text": "a"})
    path = made.headers["location"]
    assert made.headers["etag"] == etag(1) == '"1"'
    answer = await worker.patch(path, json={"number": 5}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["version"], answer.json()["rank"]) == (200, 2, 5)
    answer = await worker.patch(path, json={"number": 6}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition.failed")
    answer = await worker.patch(path, json={"number": 6})
    assert (answer.status_code, answer.json()["code"]) == (428, "precondition.required")
    assert (await worker.get(path)).json()["rank"] == 5


@pytest.mark.parametrize(
    "tag",
    ["", "1", "**", 'W/"1"', '"1', '"x"', '"-1"', '"1", "2"', '"01"', '"1.0"', '"' + "9" * 19 + '"',
     '"９"', '"1"\x7f', "'1'", '" 1"'],
)  # fmt: skip
async def test_a_tag_that_was_never_given(standing_board: App, tag: str) -> None:
    worker = standing_board.as_role(Role.COMMUNITY_WORKER)
    path = (await worker.post("/v1/notes", json={"text": uuid4().hex})).headers["location"]
    answer = await worker.patch(path, json={}, headers={b"If-Match": tag.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition.failed")


async def test_any_version_may_be_overwritten_by_who_says_so(worker: httpx.AsyncClient) -> None:
    path = (await worker.post("/v1/notes", json={"text": "a"})).headers["location"]
    for number in (5, 6):
        answer = await worker.patch(path, json={"number": number}, headers={"If-Match": "*"})
        assert (answer.status_code, answer.json()["rank"]) == (200, number)
    nobody = f"/v1/notes/{uuid4()}"
    answer = await worker.patch(nobody, json={"number": 5}, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (404, "note.not_found")


async def test_a_tag_that_is_too_long(worker: httpx.AsyncClient) -> None:
    path = (await worker.post("/v1/notes", json={"text": "a"})).headers["location"]
    answer = await worker.patch(path, json={}, headers={"If-Match": '"1"' * 50})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


async def test_of_two_updates_at_once_one_is_told(worker: httpx.AsyncClient) -> None:
    path = (await worker.post("/v1/notes", json={"text": "a"})).headers["location"]
    answers = await asyncio.gather(
        *(worker.patch(path, json={"number": n}, headers={"If-Match": '"1"'}) for n in range(1, 5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert (await worker.get(path)).json() == won.json()


async def test_the_row_comes_before_its_version(worker: httpx.AsyncClient) -> None:
    path = f"/v1/notes/{'0' * 8}-0000-0000-0000-{'0' * 12}"
    answer = await worker.patch(path, json={}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (404, "note.not_found")
