"""Which problem it is: constraints by their names, a database that is away, the caller's language."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from asyncpg.exceptions import UniqueViolationError
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from services.common import errors
from services.common.access import Role
from services.common.problems import FieldError, Problem, RequestInvalid, Text
from tests.common.board import NoteTextTaken, open_board
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity


async def test_a_constraint_is_a_refusal_by_its_name(board: App, worker: httpx.AsyncClient) -> None:
    assert (await worker.post("/v1/notes", json={"text": "a"})).status_code == 201
    answer = await worker.post("/v1/notes", json={"text": "a"})
    assert (answer.status_code, answer.json()["code"]) == (409, "note.text_taken")
    # A constraint that nobody gave a meaning to is a fault of ours, not of the caller.
    answer = await worker.post("/v1/notes", json={"text": "b", "rank": -1})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.error")


def test_only_the_constraints_name_counts() -> None:
    def violation(**named: str) -> IntegrityError:
        cause = UniqueViolationError("duplicate key value violates unique constraint")
        cause.__dict__.update(named)
        original = RuntimeError("as the adapter wraps it")
        original.__cause__ = cause
        return IntegrityError("INSERT", {}, original)

    refusals = {"note_text_key": NoteTextTaken}
    for raised, code in (
        (violation(constraint_name="note_text_key"), "note.text_taken"),
        (violation(constraint_name="note_pkey"), "internal.error"),
        (violation(table_name="note_text_key"), "internal.error"),
        (violation(), "internal.error"),
    ):
        assert errors.problem_of(raised, refusals).code == code


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "request.malformed"), (404, "route.not_found"), (405, "method.not_allowed"),
     (413, "request.too_large"), (415, "request.media_type"), (418, "internal.error")],
)  # fmt: skip
def test_a_librarys_refusal_is_one_of_ours(status: int, code: str) -> None:
    problem = errors.problem_of(HTTPException(status, "words", {"Allow": "GET"}), {})
    assert problem.code == code
    assert problem.headers == ({"Allow": "GET"} if status != 418 else {})


async def test_a_method_that_is_not_taken_says_which_are(standing_board: App) -> None:
    answer = await standing_board.client().delete("/v1/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_a_lost_connection_is_no_fault_of_ours(
    board: App, worker: httpx.AsyncClient, board_db: Database
) -> None:
    sleeping = asyncio.create_task(worker.post("/v1/sleep/20"))
    admin: Any = await database.connect(board_db.admin_url)
    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = $1 AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(20):
        while not await admin.fetchval(ended, board_db.name):
            await asyncio.sleep(0.01)
    answer = await sleeping
    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await worker.post("/v1/sleep/0")).status_code == 200
    await admin.close()


async def test_a_statement_that_takes_too_long_is_cut_off(
    board_db: Database, identity: Identity, clock: FixedClock
) -> None:
    async with open_board(
        board_db, identity, clock, snapshots=None, statement_timeout_seconds=1
    ) as board:
        answer = await board.as_role(Role.COMMUNITY_WORKER).post("/v1/sleep/20")
    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")


async def test_a_database_without_a_free_connection(
    board: App, worker: httpx.AsyncClient, board_db: Database
) -> None:
    admin: Any = await database.connect(board_db.admin_url)
    await admin.execute("ALTER ROLE residents_api CONNECTION LIMIT 0")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'residents_api'"
    )
    try:
        for _ in range(3):
            answer = await worker.post("/v1/sleep/0")
            assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
        answer = await board.client().get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)
    finally:
        await admin.execute("ALTER ROLE residents_api CONNECTION LIMIT -1")
        await admin.close()
    assert (await worker.post("/v1/sleep/0")).status_code == 200


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[EmbeddedPostgres]:
    """A server of one's own, to be stopped."""
    started = EmbeddedPostgres.at(
        tmp_path / "server",
        password=secrets.token_hex(8),
        settings={"fsync": "off", "shared_buffers": "16MB", "min_wal_size": "32MB"},
    )
    started.start()
    yield started
    started.stop()


async def test_a_server_that_is_away_and_comes_back(
    server: EmbeddedPostgres, identity: Identity, clock: FixedClock
) -> None:
    url = server.url(database="postgres")
    db = Database("postgres", url, {"residents_api": url})
    async with open_board(db, identity, clock, snapshots=None) as board:
        worker = board.as_role(Role.COMMUNITY_WORKER)
        assert (await worker.post("/v1/sleep/0")).status_code == 200
        assert (await board.client().get("/readyz")).json() == {
            "status": "ready",
            "checks": {"database": True},
        }
        server.stop()
        for _ in range(3):
            answer = await worker.post("/v1/sleep/0")
            assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
        answer = await board.client().get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "not_ready", "checks": {"database": False}},
        )
        assert (await board.client().get("/livez")).status_code == 200
        server.start()
        assert (await board.client().get("/readyz")).status_code == 200
        assert (await worker.post("/v1/sleep/0")).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "zh"),
        ("", "zh"),
        ("*", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
        ("EN", "en"),
        ("en;q=0.5,zh;q=0.6", "zh"),
        ("en; q=0.9, zh; q=0.1", "en"),
        ("en ;q=0.9,zh;q=0.1", "en"),
        ("en;Q=0.9,zh;q=0.1", "en"),
        ("fr,de;q=0.9", "zh"),
        ("fr,en;q=0.1", "en"),
        ("en;q=0", "zh"),
        ("en;q=x,zh;q=0.1", "zh"),
        ("en;q=nan", "zh"),
        ("en;q=-1", "zh"),
        ("english", "zh"),
        (",;;q=,en", "en"),
        ("a" * 5000 + ",en", "zh"),
    ],
)
async def test_the_callers_language(
    standing_board: App, accepted: str | None, language: str
) -> None:
    headers = {} if accepted is None else {"accept-language": accepted}
    client = standing_board.client()
    del client.headers["accept"]
    answer = await client.get("/v1/notes", headers=headers)
    assert answer.headers["content-language"] == language
    said = {"zh": "缺少访问令牌", "en": "An access token is required"}[language]
    assert answer.json()["title"] == answer.json()["detail"] == said


async def test_faults_come_in_the_callers_language(worker: httpx.AsyncClient) -> None:
    for language, said in (("zh", "缺少必填项"), ("en", "Field required")):
        answer = await worker.post("/v1/notes", json={}, headers={"accept-language": language})
        assert answer.json()["errors"] == [{"pointer": "/text", "code": "missing", "detail": said}]


def test_a_problem_as_a_document() -> None:
    problem = RequestInvalid(
        Text("细节", "Detail"), errors=(FieldError("/a", "a.wrong", Text("错", "Wrong")),)
    )
    assert errors.document(problem, language="en", instance="urn:request:1") == {
        "type": "about:blank",
        "title": "Some of what was sent is not valid",
        "status": 422,
        "detail": "Detail",
        "instance": "urn:request:1",
        "code": "request.invalid",
        "errors": [{"pointer": "/a", "code": "a.wrong", "detail": "Wrong"}],
    }


def test_an_answer_outside_of_a_request_has_an_instance_too() -> None:
    request = Request({"type": "http", "headers": []})
    answer = errors.answer(request, Problem())
    assert b'"urn:request:-"' in bytes(answer.body)
