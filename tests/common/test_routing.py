"""One request, one permission, one transaction that is closed before the answer leaves."""

import asyncio
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.common import telemetry
from services.common.access import Permission, Role
from services.common.outbox import OUTBOX
from services.common.positions import Position
from services.common.routing import UnitOfWorkRoute, public
from services.common.security import Caller, check, requires
from tests.common.board import NAME, NOTE, Nothing, create_app
from tests.common.interruptions import interrupted
from tests.common.test_outbox import feed_page, ranks, start_of
from tests.conftest import Database
from tests.houses import App


async def count(board: App, table: sa.Table) -> int:
    async with board.state["sessions"].read() as session:
        found = await session.scalar(sa.select(sa.func.count()).select_from(table))
    return int(found or 0)


class Transactions:
    """BEGIN, COMMIT and ROLLBACK on behalf of requests, as PostgreSQL is told of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> "Transactions":
        for name in ("begin", "commit", "rollback"):
            event.listen(Engine, name, getattr(self, f"_{name}"))
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("begin", "commit", "rollback"):
            event.remove(Engine, name, getattr(self, f"_{name}"))

    def _note(self, what: str, connection: Any) -> None:
        autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if not autocommit and telemetry.request_id() != "-":
            self.seen.append(what)

    def _begin(self, connection: Any) -> None:
        self._note("begin", connection)

    def _commit(self, connection: Any) -> None:
        self._note("commit", connection)

    def _rollback(self, connection: Any) -> None:
        self._note("rollback", connection)


def test_a_route_without_a_permission_does_not_start() -> None:
    router = APIRouter(route_class=UnitOfWorkRoute)

    async def nobody_asked() -> Nothing:
        return Nothing()

    with pytest.raises(RuntimeError, match="names no permission"):
        router.get("/v1/open")(nobody_asked)


def test_a_route_of_another_class_has_to_be_marked() -> None:
    router = APIRouter()

    async def anybody() -> Nothing:
        return Nothing()

    router.get("/v1/unguarded")(anybody)
    with pytest.raises(RuntimeError, match="/v1/unguarded: the route asks nobody"):
        create_app(lambda _: pytest.fail("not opened"), routers=(router,))
    public(anybody)
    create_app(lambda _: pytest.fail("not opened"), routers=(router,))


@pytest.mark.parametrize(
    ("path", "unknown"),
    [
        ("/v1/notes?page_siz=5", ["/query/page_siz"]),
        ("/v1/notes?page_size=5&page-token=x&b=&b=2&", ["/query/page-token", "/query/b"]),
        ("/v1/notes?PAGE_SIZE=5", ["/query/PAGE_SIZE"]),
        ("/v1/notes?=", ["/query/"]),
        ("/v1/notes?%00=%ff&a/b~c=1", ["/query/\x00", "/query/a~1b~0c"]),
        ("/v1/search?limit=x&lim=1", ["/query/lim"]),
        ("/v1/index?words=a&words=b&order-by=rank&sort=a", ["/query/sort"]),
        ("/v1/notes/0198c1a4-0000-7000-8000-000000000000?a=1", ["/query/a"]),
        # What stands in the path is not in the query.
        ("/v1/notes/0198c1a4-0000-7000-8000-000000000000?note_id=1", ["/query/note_id"]),
        ("/livez?a=1", ["/query/a"]),
        (
            "/v1/notes?" + "&".join(f"k{n}=1" for n in range(60)),
            [f"/query/k{n}" for n in range(50)],
        ),
    ],
)
async def test_an_unknown_parameter_is_refused(
    standing_board: App, path: str, unknown: list[str]
) -> None:
    answer = await standing_board.as_role(Role.COMMUNITY_WORKER).get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == unknown
    assert {error["code"] for error in answer.json()["errors"]} == {"extra_forbidden"}


async def test_known_parameters_pass(standing_board: App) -> None:
    worker = standing_board.as_role(Role.COMMUNITY_WORKER)
    for path in ("/v1/notes?page_size=5", "/v1/index?words=a&words=b&order-by=x", "/v1/notes?"):
        assert (await worker.get(path)).status_code == 200, path


async def test_who_may_not_hears_nothing_of_parameters(board: App) -> None:
    for client, status in ((board.client(), 401), (board.as_role(Role.ADMIN), 403)):
        assert (await client.post("/v1/notes?a=1", json={"text": "a"})).status_code == status


async def test_an_unknown_parameter_stops_a_write(board: App, worker: httpx.AsyncClient) -> None:
    answer = await worker.post("/v1/notes?dry_run=true", json={"text": "a"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/dry_run")
    assert await count(board, NOTE) == 0


async def test_an_unknown_form_field_is_refused(board: App, worker: httpx.AsyncClient) -> None:
    photo = ("a.jpg", b"x", "image/jpeg")
    for data, files, pointer in (
        ({"text": "a", "dry_run": "true"}, None, "/dry_run"),
        ({"text": "a", "x/y": ""}, {"photo": photo}, "/x~1y"),
        ({"text": "a"}, {"photos": photo}, "/photos"),
    ):
        answer = await worker.post("/v1/photographs", data=data, files=files)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == (pointer, "extra_forbidden")
    assert await count(board, NOTE) == 0


async def test_a_form_that_cannot_be_read(board: App, worker: httpx.AsyncClient) -> None:
    for kind, content in (
        ("multipart/form-data", b"--b"),  # no boundary is named
        ("multipart/form-data; boundary=b", b"--b\r\n\x00: x\r\n\r\n\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\n\r\n--b--"),
    ):
        for key in ({}, {"idempotency-key": "abc"}):
            headers = {"content-type": kind, **key}
            answer = await worker.post("/v1/photographs", content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    assert await count(board, NOTE) == 0


def test_a_route_with_two_permissions_does_not_start() -> None:
    router = APIRouter(route_class=UnitOfWorkRoute)

    async def both(
        one: Annotated[Caller, requires(Permission.TAGS_READ)],
        other: Annotated[Caller, requires(Permission.TAGS_WRITE)],
    ) -> Nothing:
        return Nothing()

    with pytest.raises(RuntimeError, match="more than one permission"):
        router.get("/v1/both")(both)


def test_a_public_route_says_so() -> None:
    router = APIRouter(route_class=UnitOfWorkRoute)

    @public
    async def anybody() -> Nothing:
        return Nothing()

    router.get("/v1/public")(anybody)
    (route,) = router.routes
    assert isinstance(route, UnitOfWorkRoute)
    assert route.permission is None
    assert not route.writes


async def test_who_may_not_is_refused(board: App) -> None:
    for client, refusal in (
        (board.client(), (401, "token.missing")),
        (board.client("nonsense"), (401, "token.invalid")),
        (board.as_role(Role.ADMIN), (403, "role.forbidden")),
        (board.as_role(Role.RESIDENT), (403, "role.forbidden")),
    ):
        answer = await client.post("/v1/notes", json={"text": "a"})
        assert (answer.status_code, answer.json()["code"]) == refusal
    assert await count(board, NOTE) == 0


def test_a_second_permission_can_be_checked() -> None:
    caller = Caller(
        sub="a", roles=frozenset(), areas=(), permissions=frozenset({Permission.TAGS_READ})
    )
    check(caller, Permission.TAGS_READ)
    with pytest.raises(Exception, match=r"role\.forbidden"):
        check(caller, Permission.TAGS_HIGHEST)


@pytest.mark.parametrize(
    ("content", "headers"),
    [(b"not json", {}), (b"\xff\xfe", {}), (b"x" * 50_000, {}), (b"{}", {"content-type": "a/b"}),
     (b"{}", {"idempotency-key": "\x7f"})],
)  # fmt: skip
@pytest.mark.parametrize(
    ("role", "refusal"), [(None, (401, "token.missing")), (Role.ADMIN, (403, "role.forbidden"))]
)
async def test_the_permission_is_checked_before_the_body(
    board: App,
    content: bytes,
    headers: dict[str, str],
    role: Role | None,
    refusal: tuple[int, str],
) -> None:
    read = 0

    async def body() -> Any:
        nonlocal read
        read += 1
        yield content

    client = board.as_role(role) if role else board.client()
    for sent in (content, body()):
        answer = await client.post("/v1/notes", content=sent, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == refusal
    assert read == 0


async def test_a_commit_that_fails_is_never_answered_with_success(
    board: App, worker: httpx.AsyncClient
) -> None:
    start = await start_of(board)
    answer = await worker.post("/v1/notes", json={"text": "a", "answers": str(uuid4())})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal.error")
    assert "position" not in answer.headers
    assert "location" not in answer.headers
    assert await count(board, NOTE) == await count(board, OUTBOX) == 0
    assert (await feed_page(board, start))["events"] == []


async def test_the_commit_comes_before_the_answer(board: App, worker: httpx.AsyncClient) -> None:
    order: list[str] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            order.append(message["type"])
            await send(message)

        await board.transport.app(scope, receive, note)

    def committed(_: Any) -> None:
        order.append("commit")

    event.listen(Engine, "commit", committed)
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(watched),
            base_url="http://board.test",
            headers=worker.headers,
        ) as client:
            assert (await client.post("/v1/notes", json={"text": "a"})).status_code == 201
    finally:
        event.remove(Engine, "commit", committed)
    assert order[0] == "commit"
    assert order.index("http.response.start") > order.index("commit")
    assert order.count("http.response.start") == 1


async def test_a_refusal_rolls_everything_back(board: App, worker: httpx.AsyncClient) -> None:
    start = await start_of(board)
    made = (await worker.post("/v1/notes", json={"text": "a"})).json()
    answer = await worker.post(f"/v1/notes/{made['id']}/refuse")
    assert (answer.status_code, answer.json()["code"]) == (404, "note.not_found")
    assert "position" not in answer.headers
    assert (await worker.get(f"/v1/notes/{made['id']}")).json()["version"] == 1
    await board.state["publisher"].publish()
    assert len((await feed_page(board, start))["events"]) == 1


async def test_a_write_is_one_transaction(board: App, worker: httpx.AsyncClient) -> None:
    with Transactions() as transactions:
        await worker.post("/v1/notes", json={"text": "a"})
    # The request's, and then the numbering's.
    assert transactions.seen == ["begin", "commit"] * 2
    with Transactions() as transactions:
        await worker.post("/v1/notes", json={"text": "a"})
    assert transactions.seen == ["begin", "rollback"]


async def test_a_read_opens_no_transaction(board: App, worker: httpx.AsyncClient) -> None:
    made = (await worker.post("/v1/notes", json={"text": "a"})).json()
    with Transactions() as transactions:
        assert (await worker.get("/v1/notes")).status_code == 200
        assert (await worker.get(f"/v1/notes/{made['id']}")).status_code == 200
        assert (await worker.get(f"/v1/notes/{uuid4()}")).status_code == 404
        # Nor does what is refused before its first statement.
        await worker.post("/v1/notes", json={"text": ""})
    assert transactions.seen == []


async def test_postgresql_sees_no_transaction_of_a_read(
    board: App, worker: httpx.AsyncClient, board_db: Database
) -> None:
    """As the server tells it: between two statements of a read there is no snapshot to hold."""
    states: list[Any] = []

    async def look() -> None:
        async with board.state["sessions"].read() as session:
            found = await session.execute(
                sa.text(
                    "SELECT state FROM pg_stat_activity"
                    " WHERE application_name = :name AND pid <> pg_backend_pid()"
                    " AND state LIKE 'idle in transaction%'"
                ),
                {"name": NAME},
            )
            states.extend(found)

    made = (await worker.post("/v1/notes", json={"text": "a"})).json()
    with interrupted("after", "FROM note", look):
        await worker.get(f"/v1/notes/{made['id']}")
    assert states == []
    with interrupted("after", "INSERT INTO note", look):
        await worker.post("/v1/notes", json={"text": "b"})
    assert len(states) == 1  # so it would have been seen


async def test_a_write_says_how_far_it_got(board: App, worker: httpx.AsyncClient) -> None:
    start = await start_of(board)
    for number in (1, 2):
        answer = await worker.post("/v1/notes", json={"text": f"note {number}"})
        ((service, cursor),) = Position.parse(answer.headers["position"]).cursors
        assert (service, cursor.position) == (NAME, number)
    page = await feed_page(board, start)
    assert page["head"] == str(cursor)


async def test_what_is_committed_is_not_refused_for_want_of_a_number(
    board: App, worker: httpx.AsyncClient
) -> None:
    """The numbering fails; the note stands, the caller is told so, and the sweep does the rest."""
    start = await start_of(board)

    async def lose_the_connection() -> None:
        raise ConnectionResetError

    with interrupted("before", "FROM feed_head FOR UPDATE", lose_the_connection):
        answer = await worker.post("/v1/notes", json={"text": "a", "rank": 3})
    assert answer.status_code == 201
    assert "position" not in answer.headers
    page = await asyncio.wait_for(feed_page(board, start, wait=20), 10)
    assert ranks(page["events"]) == [3]


async def test_two_writes_at_once_do_not_share_a_session(
    board: App, worker: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(
        *(worker.post("/v1/notes", json={"text": f"note {n % 10}"}) for n in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 10
    assert await count(board, NOTE) == 10


async def test_a_write_that_emits_nothing_has_no_position(
    board: App, worker: httpx.AsyncClient
) -> None:
    answer = await worker.post("/v1/photographs", data={"text": "a"})
    assert "position" in answer.headers
    again = await worker.post("/v1/photographs", data={"text": "a"})
    assert again.status_code == 409
    assert "position" not in again.headers


async def test_unknown_routes_and_methods(board: App) -> None:
    for method, path, refusal in (
        ("GET", "/", (404, "route.not_found")),
        ("GET", "/v1/notes/", (404, "route.not_found")),
        ("GET", "/docs", (404, "route.not_found")),
        ("GET", "/openapi.json", (404, "route.not_found")),
        ("GET", "/v1/%00", (404, "route.not_found")),
        ("DELETE", "/v1/notes", (405, "method.not_allowed")),
        ("OPTIONS", "/v1/notes", (405, "method.not_allowed")),
    ):
        answer = await board.client().request(method, path)
        assert (answer.status_code, answer.json()["code"]) == refusal, path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_ids_in_paths_that_are_none(board: App, worker: httpx.AsyncClient) -> None:
    for bad in ("x", "0", "%00", "1" * 5000, str(UUID(int=0))[:-1], "%F0%9F%92%A9", "%FF"):
        answer = await worker.get(f"/v1/notes/{bad}")
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), bad
        assert answer.json()["errors"][0]["pointer"] == "/path/note_id"
