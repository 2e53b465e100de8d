"""Lists in pages: every row once, whatever is written meanwhile, and no token but our own."""

import base64
import json
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from services.common.access import Role
from services.common.pagination import (
    MAX_PAGE_SIZE,
    PageRequest,
    cut,
    keyset,
    list_of,
    token_for,
)
from services.common.problems import RequestInvalid
from tests.common.board import NOTE, add_note
from tests.houses import App
from tests.queries import QueryLog


async def page(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/v1/notes", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add(board: App, *ranks: int) -> list[str]:
    async with board.state["sessions"].write() as session:
        return [str((await add_note(session, rank=rank)).id) for rank in ranks]


async def test_rows_written_meanwhile_neither_hide_nor_repeat_others(
    board: App, worker: httpx.AsyncClient
) -> None:
    # Many of one rank: the id decides among them.
    there = set(await add(board, *(n // 4 * 10 for n in range(40))))
    seen: list[str] = []
    ranks: list[int] = []
    token: dict[str, str] = {}
    while True:
        found = await page(worker, page_size=7, **token)
        seen += [item["id"] for item in found["items"]]
        ranks += [item["rank"] for item in found["items"]]
        if found["next_page_token"] is None:
            break
        token = {"page_token": found["next_page_token"]}
        # Before the place that was reached, at it, and after it.
        await add(board, 0, ranks[-1], ranks[-1] + 1, 1000)
    assert len(seen) == len(set(seen))
    assert there <= set(seen)
    assert ranks == sorted(ranks)


async def test_the_last_page_may_be_full(board: App, worker: httpx.AsyncClient) -> None:
    await add(board, 1, 2, 3, 4)
    first = await page(worker, page_size=2)
    assert first["next_page_token"]
    second = await page(worker, page_size=2, page_token=first["next_page_token"])
    assert (len(second["items"]), second["next_page_token"]) == (2, None)


async def test_an_empty_list(worker: httpx.AsyncClient) -> None:
    found = await page(worker)
    assert found == {"items": [], "next_page_token": None}
    assert list(found) == ["items", "next_page_token"]  # whoever reads it sees the items first


async def test_an_over_large_page_is_lowered(board: App, worker: httpx.AsyncClient) -> None:
    await add(board, *range(MAX_PAGE_SIZE + 1))
    assert len((await page(worker))["items"]) == 50
    for size in (MAX_PAGE_SIZE, MAX_PAGE_SIZE + 1, 2**31 - 1):
        with QueryLog() as queries:
            found = await page(worker, page_size=size)
        assert len(found["items"]) == MAX_PAGE_SIZE
        assert found["next_page_token"]
        assert len([said for said in queries.statements if "FROM note" in said]) == 1


@pytest.mark.parametrize(
    "size", ["0", "-1", "1.5", "x", "", "1e3", "9" * 5000, "2147483648", "%00"]
)
async def test_sizes_that_are_none(standing_board: App, size: str) -> None:
    worker = standing_board.as_role(Role.COMMUNITY_WORKER)
    answer = await worker.get(f"/v1/notes?page_size={size}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["errors"][0]["pointer"] == "/query/page_size"


_LIST = "/v1/notes?"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(*keys: Any) -> str:
    return of_this_list(json.dumps(keys).encode())


def of_this_list(said: bytes) -> str:
    """A token with the mark of the list, saying anything."""
    mark = base64.urlsafe_b64decode(token_for(_LIST) + "==").removesuffix(b"[]")
    return encoded(mark + said)


_GOOD = token_for(_LIST, 1, UUID(int=1))


@pytest.mark.parametrize(
    "token",
    ["", "x", "*", "=", "====", "a" * 1001, _GOOD[:-3], _GOOD[1:], _GOOD + "A", _GOOD.swapcase(),
     "\x00", "é", "٣", forged(), forged(1), forged(1, 2), forged(1, str(UUID(int=1)), 3),
     forged("a", str(UUID(int=1))), forged(str(UUID(int=1)), 1), forged(None, None),
     forged("2026-11-23T04:00:00Z", str(UUID(int=1))), forged(10**30, str(UUID(int=1))),
     forged(2**31, str(UUID(int=1))), forged([], {}), of_this_list(b"{}"), of_this_list(b"null"),
     of_this_list(b"[1"), of_this_list(b"\xff"), of_this_list(b"[" * 700), of_this_list(b"[NaN, 1]"),
     of_this_list(b'[1, "\\ud800"]'), of_this_list(b"[" + b"1" * 700 + b', "a"]'),
     # Good, had this list given it.
     encoded(json.dumps([1, str(UUID(int=1))]).encode()), token_for("/v1/notes?x=1", 1, UUID(int=1)),
     token_for("/v1/others?", 1, UUID(int=1)), token_for("", 1, UUID(int=1))],
)  # fmt: skip
async def test_tokens_that_this_list_never_gave(standing_board: App, token: str) -> None:
    worker = standing_board.as_role(Role.COMMUNITY_WORKER)
    answer = await worker.get("/v1/notes", params={"page_token": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


def test_filters_belong_to_a_list_and_the_page_does_not() -> None:
    def named(query: str) -> str:
        scope = {"type": "http", "path": "/v1/notes", "headers": [], "server": ("board.test", 80)}
        return list_of(Request({**scope, "query_string": query.encode()}))

    assert named("") == named("page_size=7&page_token=abc") == "/v1/notes?"
    assert named("area=51&status=new") == named("status=new&page_size=2&area=51")
    for other in ("area=51", "area=5101&status=new", "area=51&status=new&status=old"):
        assert named(other) != named("area=51&status=new")


async def test_padding_may_be_there(board: App, worker: httpx.AsyncClient) -> None:
    await add(board, 1, 2)
    padded = _GOOD + "=" * (-len(_GOOD) % 4)
    assert await page(worker, page_token=padded) == await page(worker, page_token=_GOOD)


@given(st.text(max_size=30))
def test_no_token_is_more_than_refused(text: str) -> None:
    with suppress(RequestInvalid):
        PageRequest(token=text).after(tuple[int, UUID])


@given(
    st.tuples(
        st.text(max_size=20).filter(lambda text: text.isprintable()),
        st.integers(-(2**63), 2**63 - 1),
        st.uuids(),
        st.dates(),
        st.datetimes(timezones=st.just(UTC)),
        st.booleans(),
        st.none() | st.integers(0, 9),
    )
)
def test_keys_come_back_as_they_were(keys: tuple[Any, ...]) -> None:
    kinds = tuple[str, int, UUID, date, datetime, bool, int | None]
    assert PageRequest(of="a", token=token_for("a", *keys)).after(kinds) == keys
    with pytest.raises(RequestInvalid):
        PageRequest(of="b", token=token_for("a", *keys)).after(kinds)


def test_a_list_may_run_backwards() -> None:
    statement = keyset(
        sa.select(NOTE), NOTE.c.rank, NOTE.c.id, after=(5, UUID(int=1)), size=10, descending=True
    )
    said = " ".join(str(statement).split())
    assert "(note.rank, note.id) < (" in said
    assert "ORDER BY note.rank DESC, note.id DESC" in said


@given(st.integers(0, 30), st.integers(1, 10))
def test_cutting(count: int, size: int) -> None:
    rows = list(range(count))
    page = PageRequest(size=size)
    shown, token = cut(rows[: size + 1], page, keys=lambda row: (row,))
    assert list(shown) == rows[:size]
    assert (token is None) == (count <= size)
    if token is not None:
        assert PageRequest(token=token).after(tuple[int]) == (shown[-1],)


async def test_a_list_of_another_caller_is_not_in_the_token(board: App) -> None:
    """A token says where, not what: whoever presents it sees their own rows from there on."""
    await add(board, 1, 2, 3)
    token = (await page(board.as_role(Role.COMMUNITY_WORKER), page_size=1))["next_page_token"]
    answer = await board.as_role(Role.ADMIN).get("/v1/notes", params={"page_token": token})
    assert answer.status_code == 403
