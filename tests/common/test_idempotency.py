"""The same POST sent twice happens once, and is answered the same."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common import idempotency
from services.common.access import Role
from services.common.positions import Position
from tests.common.board import NOTE
from tests.common.interruptions import interrupted
from tests.common.test_outbox import feed_page, start_of
from tests.common.test_routing import count
from tests.conftest import FixedClock
from tests.houses import App

_KEPT = idempotency.table(sa.MetaData())
KEY = {"Idempotency-Key": "7b0c3f6e-1"}


async def test_the_second_answer_is_the_first(board: App, worker: httpx.AsyncClient) -> None:
    start = await start_of(board)
    first = await worker.post("/v1/notes", json={"text": "a", "rank": 1}, headers=KEY)
    second = await worker.post("/v1/notes", json={"text": "a", "rank": 1}, headers=KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    for header in ("location", "etag", "content-type", "position"):
        assert first.headers[header] == second.headers[header], header
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await count(board, NOTE) == 1
    assert len((await feed_page(board, start))["events"]) == 1


async def test_a_repeated_answer_covers_the_first_ones_events(
    board: App, worker: httpx.AsyncClient
) -> None:
    """The first answer was lost: nobody has its position, and it may not even be numbered."""

    async def lose_the_connection() -> None:
        raise ConnectionResetError

    with interrupted("before", "FROM feed_head FOR UPDATE", lose_the_connection):
        await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)
    second = await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)
    ((_, cursor),) = Position.parse(second.headers["position"]).cursors
    assert cursor.position == 1


async def test_another_body_under_the_same_key_is_refused(
    board: App, worker: httpx.AsyncClient
) -> None:
    await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)
    answer = await worker.post("/v1/notes", json={"text": "b"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key.reused")
    assert await count(board, NOTE) == 1


@pytest.mark.parametrize("kind", ["Application/JSON", "application/x+json", "application/json "])
async def test_a_body_counts_whatever_its_type_is_called(
    board: App, worker: httpx.AsyncClient, kind: str
) -> None:
    for text, status in ((b"a", 201), (b"b", 422), (b"a", 201)):
        answer = await worker.post(
            "/v1/notes",
            content=b'{"text": "' + text + b'"}',
            headers={**KEY, "content-type": kind},
        )
        assert answer.status_code == status
    assert await count(board, NOTE) == 1


async def test_another_address_under_the_same_key_is_refused(
    board: App, worker: httpx.AsyncClient
) -> None:
    note = (await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)).json()
    for path, body in (
        (f"/v1/notes/{note['id']}/refuse", None),
        ("/v1/notes?loud=true", {"text": "a"}),
    ):
        answer = await worker.post(path, json=body, headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key.reused")


async def test_two_callers_may_use_the_same_key(board: App) -> None:
    for n in range(2):
        client = board.as_role(Role.COMMUNITY_WORKER, sub=f"account:{n}")
        answer = await client.post("/v1/notes", json={"text": f"note {n}"}, headers=KEY)
        assert answer.status_code == 201
    assert await count(board, NOTE) == 2


async def test_duplicates_at_once_happen_once(board: App, worker: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(worker.post("/v1/notes", json={"text": "a"}, headers=KEY) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer for answer in answers if "idempotency-replayed" in answer.headers]
    assert len(replayed) == 5
    assert await count(board, NOTE) == 1


async def test_a_duplicate_waits_for_the_first_to_end(
    board: App, worker: httpx.AsyncClient
) -> None:
    duplicate: list[asyncio.Task[httpx.Response]] = []

    async def send_again() -> None:
        duplicate.append(
            asyncio.create_task(worker.post("/v1/notes", json={"text": "a"}, headers=KEY))
        )
        await asyncio.sleep(0.15)
        assert not duplicate[0].done()

    with interrupted("after", "INSERT INTO note", send_again):
        first = await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)
    second = await duplicate[0]
    assert first.content == second.content
    assert await count(board, NOTE) == 1


async def test_a_duplicate_proceeds_if_the_first_fails(
    board: App, worker: httpx.AsyncClient
) -> None:
    duplicate: list[asyncio.Task[httpx.Response]] = []

    async def send_again_and_fail() -> None:
        duplicate.append(
            asyncio.create_task(worker.post("/v1/notes", json={"text": "a"}, headers=KEY))
        )
        await asyncio.sleep(0.1)
        raise RuntimeError

    with interrupted("after", "INSERT INTO note", send_again_and_fail):
        first = await worker.post("/v1/notes", json={"text": "a"}, headers=KEY)
    assert first.status_code == 500
    second = await duplicate[0]
    assert (second.status_code, "idempotency-replayed" in second.headers) == (201, False)
    assert await count(board, NOTE) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [({"text": ""}, 422), ({"text": "taken"}, 409), ({"text": "b", "rank": -1}, 500)],
)
async def test_a_failure_is_not_remembered(
    board: App, worker: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    await worker.post("/v1/notes", json={"text": "taken"})
    for _ in range(2):
        answer = await worker.post("/v1/notes", json=body, headers=KEY)
        assert answer.status_code == status
        assert "idempotency-replayed" not in answer.headers
    assert await count(board, _KEPT) == 0
    # Corrected, it may go out under its key.
    answer = await worker.post("/v1/notes", json={"text": "c"}, headers=KEY)
    assert answer.status_code == 201


async def test_plain_values_are_never_kept(board: App, worker: httpx.AsyncClient) -> None:
    note = (await worker.post("/v1/notes", json={"text": "a"})).json()
    for version in (2, 3):
        answer = await worker.post(f"/v1/notes/{note['id']}/reveal", headers=KEY)
        assert answer.json()["version"] == version
    assert await count(board, _KEPT) == 0


async def test_only_a_post_has_a_key(board: App, worker: httpx.AsyncClient) -> None:
    note = (await worker.post("/v1/notes", json={"text": "a"})).json()
    for version in (1, 2):
        answer = await worker.patch(
            f"/v1/notes/{note['id']}",
            json={"number": 1},
            headers={**KEY, "If-Match": f'"{version}"'},
        )
        assert answer.json()["version"] == version + 1
    assert await count(board, _KEPT) == 0
    # A POST that only reads has nothing to happen twice.
    for _ in range(2):
        assert (await worker.post("/v1/anything", json={}, headers=KEY)).status_code == 200
    assert await count(board, _KEPT) == 0


async def test_an_upload_is_looked_up_first_and_claimed_last(
    board: App, worker: httpx.AsyncClient
) -> None:
    sent: dict[str, Any] = {"files": {"photo": ("a.jpg", b"x" * 500)}, "headers": KEY}
    first = await worker.post("/v1/photographs", data={"text": "a"}, **sent)
    second = await worker.post("/v1/photographs", data={"text": "a"}, **sent)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["position"] == second.headers["position"]
    longer = await worker.post("/v1/photographs", data={"text": "a longer one"}, **sent)
    assert (longer.status_code, longer.json()["code"]) == (422, "idempotency_key.reused")
    assert await count(board, NOTE) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"text": "b"}},
        {"data": {"text": "a"}, "files": {"photo": ("a.jpg", b"x" * 499 + b"y", "image/jpeg")}},
        {"data": {"text": "a"}, "files": {"photo": ("b.jpg", b"x" * 500, "image/jpeg")}},
        {"data": {"text": "a"}, "files": {"photo": ("a.jpg", b"x" * 500, "image/jpe9")}},
    ],
)
async def test_a_form_counts_by_what_it_says(
    board: App, worker: httpx.AsyncClient, other: dict[str, Any]
) -> None:
    """A file of the same length under the same key is another file."""
    files = {"photo": ("a.jpg", b"x" * 500, "image/jpeg")}
    for boundary in ("one", "another"):
        kind = f"multipart/form-data; boundary={boundary}"
        answer = await worker.post(
            "/v1/photographs",
            data={"text": "a"},
            files=files,
            headers={**KEY, "content-type": kind},
        )
        # The whole file is there for the endpoint, too.
        assert (answer.status_code, answer.json()["rank"]) == (201, 500)
    refused = await worker.post("/v1/photographs", **{"files": files, **other}, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key.reused")
    assert await count(board, NOTE) == 1


async def test_uploads_at_once_happen_once(board: App, worker: httpx.AsyncClient) -> None:
    """Both are worked on; whoever commits second is rolled back and given the other's answer."""

    files = {"photo": ("a.jpg", b"x" * 50)}
    twins: list[httpx.Response] = []

    async def send_again() -> None:
        twins.append(await worker.post("/v1/photographs", files=files, headers=KEY))

    with interrupted("before", "INSERT INTO note", send_again):
        answer = await worker.post("/v1/photographs", files=files, headers=KEY)
    assert twins[0].status_code == answer.status_code == 201
    assert answer.json() == twins[0].json()
    assert answer.headers["idempotency-replayed"] == "true"
    assert await count(board, NOTE) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\x01b", "\x7f", "ключ", "键"])
async def test_what_is_no_key(board: App, worker: httpx.AsyncClient, key: str) -> None:
    answer = await worker.post(
        "/v1/notes",
        json={"text": "a"},
        headers={b"Idempotency-Key": key.encode()},  # type: ignore[dict-item]
    )
    if answer.status_code == 201:
        assert key == " "  # printable
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["errors"][0]["pointer"] == "/header/idempotency-key"
    assert await count(board, NOTE) == 0


async def test_keys_are_forgotten_after_a_day(
    board: App, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    sessions = board.state["sessions"]
    for n, ago in enumerate((timedelta(hours=23), timedelta(hours=25))):
        await worker.post(
            "/v1/notes", json={"text": f"note {n}"}, headers={"Idempotency-Key": f"k{n}"}
        )
        async with sessions.write() as session:
            await session.execute(
                sa.update(_KEPT).where(_KEPT.c.key == f"k{n}").values(created_at=clock.now() - ago)
            )
    await idempotency.forget(sessions, clock)
    async with sessions.read() as session:
        assert list(await session.scalars(sa.select(_KEPT.c.key))) == ["k0"]
