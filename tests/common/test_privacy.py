"""Nothing personal in logs, answers or metrics, whatever goes wrong."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx
import pytest

from services.common.access import Role
from services.common.application import House, State
from tests.common import board as board_app
from tests.common import mishaps
from tests.common.board import Snapshots, open_board, settings_of
from tests.common.mishaps import MISHAPS, NUMBER, PERSON, PHONE, PLANTED, WORDS
from tests.conftest import Database, FixedClock
from tests.gateway.servers import served
from tests.houses import App, Identity


class Logs:
    """What the service has written to stderr, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    @property
    def text(self) -> str:
        """As it stands there, and with every escape undone."""
        written = self.stream.getvalue()
        return written + json.dumps(self.lines, ensure_ascii=False)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Logs:
    """Asked for before the app: it logs to the stderr of its start."""
    found = Logs()
    monkeypatch.setattr(sys, "stderr", found.stream)
    return found


@pytest.fixture
async def board(
    logs: Logs, board_db: Database, identity: Identity, clock: FixedClock, snapshots: Snapshots
) -> AsyncGenerator[App]:
    routers = (board_app.router, mishaps.router)
    async with open_board(board_db, identity, clock, snapshots=snapshots, routers=routers) as app:
        yield app


def clean(*texts: str) -> bool:
    return not any(word in text for word in PLANTED for text in texts)


async def metrics_of(board: App) -> str:
    answer = await board.as_service().get("/metrics")
    assert answer.status_code == 200
    return answer.text


_STATUS = {
    "check_violated": 500,
    "key_violated": 500,
    "not_a_number": 422,
    "wrong_parameter": 422,
    "connection_lost": 503,
    "timed_out": 503,
    "no_connection_to_be_had": 503,
    "not_encodable": 422,
}


@pytest.mark.parametrize("kind", MISHAPS)
async def test_a_mishap_says_nothing_of_a_person(
    board: App, worker: httpx.AsyncClient, logs: Logs, kind: str
) -> None:
    answer = await worker.post(f"/v1/mishaps/{kind}", json={"words": WORDS})
    assert answer.status_code == _STATUS.get(kind, 500)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    if answer.status_code == 500:
        assert (body["code"], body["detail"]) == ("internal.error", "服务内部错误")
        (unforeseen,) = logs.events("unforeseen")
        assert unforeseen["error"]
        assert unforeseen["frames"]
    (line,) = logs.events("request")
    assert (line["route"], line["status"]) == ("/v1/mishaps/{kind}", answer.status_code)
    assert clean(answer.text, str(answer.headers), logs.text, await metrics_of(board))


async def test_a_wrong_answer_says_nothing_of_a_person(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    answer = await worker.post("/v1/wrong-answers", json={"words": WORDS})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.error")
    assert logs.events("unforeseen")[0]["error"] == "ResponseValidationError"
    assert clean(answer.text, logs.text)


async def test_an_answer_that_breaks_off_says_nothing_of_a_person(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    async with (
        served(board.transport.app) as url,
        httpx.AsyncClient(base_url=url, headers=worker.headers) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/v1/streams")
    assert logs.events("unforeseen")
    assert clean(logs.text)


async def test_what_is_refused_is_not_repeated(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    sent: list[dict[str, Any]] = [
        {"text": "a", "rank": WORDS},
        {"text": [WORDS]},
        {"text": "a", "answers": WORDS},
        {"text": "a", "answers": PERSON},
        {"text": "a", "area": WORDS},
        {"text": WORDS * 10},
        {"text": f"{WORDS}\x00"},
    ]
    for body in sent:
        for language in ("zh", "en"):
            answer = await worker.post(
                "/v1/notes", json=body, headers={"accept-language": language}
            )
            assert answer.status_code == 422
            # Not even one of its characters.
            assert not set(PERSON) & set(answer.text)
            assert clean(answer.text)
    answer = await worker.post("/v1/notes", content=WORDS.encode())
    assert answer.status_code == 422
    assert clean(answer.text)
    answer = await worker.post(
        "/v1/notes",
        content=f'{{"text": "{WORDS}'.encode(),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert clean(answer.text, logs.text)


async def test_what_is_taken_is_not_repeated(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    assert (await worker.post("/v1/notes", json={"text": WORDS})).status_code == 201
    answer = await worker.post("/v1/notes", json={"text": WORDS})
    assert (answer.status_code, answer.json()["code"]) == (409, "note.text_taken")
    assert clean(answer.text, logs.text)


async def test_a_url_is_never_logged_or_measured(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    asked = (
        ("GET", f"/v1/notes/{PERSON}", "/v1/notes/{note_id}"),
        ("GET", f"/v1/search?area={PERSON}&name={NUMBER}", "/v1/search"),
        ("GET", f"/{PERSON}/{NUMBER}", "-"),
        ("GET", f"/v1/notes/{NUMBER}/reveal/{PHONE}", "-"),
        ("DELETE", f"/v1/notes/{NUMBER}", "/v1/notes/{note_id}"),
        ("POST", f"/v1/notes/{NUMBER}/reveal", "/v1/notes/{note_id}/reveal"),
    )
    headers = {
        "user-agent": WORDS.encode(),
        "referer": f"https://city.test/{NUMBER}",
        "x-request-id": PERSON.encode(),
        "traceparent": NUMBER,
        "cookie": NUMBER,
    }
    for method, path, _ in asked:
        await worker.request(method, path, headers=headers)
    assert [line["route"] for line in logs.events("request")] == [route for *_, route in asked]
    measured = await metrics_of(board)
    assert clean(logs.text, measured)
    for _, _, route in asked:
        assert f'route="{route}"' in measured


async def test_a_method_that_nobody_knows_is_not_a_name_for_a_measurement(
    board: App, logs: Logs
) -> None:
    for n in range(3):
        answer = await board.client().request(f"X-{NUMBER}-{n}", "/v1/notes")
        assert answer.status_code == 405
    measured = await metrics_of(board)
    assert clean(logs.text, measured)


async def test_tokens_are_never_logged(board: App, identity: Identity, logs: Logs) -> None:
    token = identity.token(Role.COMMUNITY_WORKER)
    for each in (token, token[:-4] + "AAAA", NUMBER):
        answer = await board.client(each).post(f"/v1/mishaps/plain?token={each}", json={})
        assert each not in answer.text
        assert each not in logs.text
    assert clean(logs.text)


async def test_the_log_is_one_object_a_line(
    board: App, worker: httpx.AsyncClient, logs: Logs
) -> None:
    await worker.get("/v1/notes", headers={"x-request-id": "abcdefgh-1"})
    await worker.get("/livez")
    (line,) = logs.events("request")
    assert line["ms"] >= 0
    assert len(line["trace_id"]) == 32
    assert {key: line[key] for key in ("method", "route", "status", "request_id", "service")} == {
        "method": "GET",
        "route": "/v1/notes",
        "status": 200,
        "request_id": "abcdefgh-1",
        "service": "board",
    }
    assert set(line) == {
        "event", "level", "timestamp", "service", "method", "route", "status", "ms",
        "request_id", "trace_id",
    }  # fmt: skip


async def test_other_peoples_loggers_speak_the_same_way(board: App, logs: Logs) -> None:
    logging.getLogger("uvicorn.error").error("%s happened", "something")
    logging.getLogger("httpx").info("GET https://city.test/%s", NUMBER)
    logging.getLogger("uvicorn.access").info("GET /%s", NUMBER)
    assert [line["event"] for line in logs.lines if line["event"] == "something happened"]
    assert clean(logs.text)


async def test_a_failing_background_task_says_nothing_of_a_person(
    board: App, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda *sent: killed.append(sent))

    async def fail() -> None:
        raise RuntimeError(WORDS)

    async with AsyncExitStack() as stack:
        house = House("board", cast("State", board.state), settings_of("postgresql://"), stack)
        house.in_background(fail(), name="failing")
        async with asyncio.timeout(20):
            while not killed:
                await asyncio.sleep(0)
    (unforeseen,) = logs.events("unforeseen")
    assert unforeseen["error"] == "RuntimeError"
    assert clean(logs.text)
