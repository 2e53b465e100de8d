"""Everything that can go wrong in an endpoint, with a person's name and number in its words."""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated

import sqlalchemy as sa
import structlog
from fastapi import APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from services.common.access import Permission
from services.common.database import WriteSession
from services.common.routing import UnitOfWorkRoute, Writing
from services.common.schemas import Schema
from services.common.security import Caller, requires
from tests.common.board import NOTE, Nothing, add_note

# Invented; no place has the area code 519900.
PERSON = "欧阳测试"
NUMBER = "519900199003070013"
PHONE = "13800000000"
PLANTED = (PERSON, NUMBER, PHONE)
WORDS = f"{PERSON} has the number {NUMBER} and the phone {PHONE}"

log = structlog.get_logger(__name__)


class Told(Schema):
    words: str = WORDS


async def plain(_: WriteSession) -> None:
    raise RuntimeError(WORDS)


async def chained(_: WriteSession) -> None:
    try:
        raise KeyError(WORDS)
    except KeyError as cause:
        failed = LookupError(WORDS)
        failed.add_note(WORDS)
        raise failed from cause


async def grouped(_: WriteSession) -> None:
    raise ExceptionGroup(WORDS, [ValueError(WORDS), TypeError(WORDS)])


async def named_after_a_person(_: WriteSession) -> None:
    raise AssertionError({PERSON: NUMBER})


async def deep(_: WriteSession) -> None:
    await deep(_)


async def http(_: WriteSession) -> None:
    raise HTTPException(418, WORDS)


async def connection_lost(_: WriteSession) -> None:
    raise ConnectionResetError(WORDS)


async def timed_out(_: WriteSession) -> None:
    raise TimeoutError(WORDS)


async def no_connection_to_be_had(_: WriteSession) -> None:
    raise PoolTimeout(WORDS)


async def not_encodable(_: WriteSession) -> None:
    (WORDS + "\ud800").encode()


async def check_violated(session: WriteSession) -> None:
    """DETAIL: Failing row contains (…)."""
    await add_note(session, WORDS, rank=-1)


async def key_violated(session: WriteSession) -> None:
    """DETAIL: Key (…)=(…) already exists."""
    row = await add_note(session, WORDS)
    await session.execute(sa.insert(NOTE).values(id=row.id, text=PERSON))


async def reference_violated(session: WriteSession) -> None:
    await add_note(session, WORDS)
    await session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    await session.execute(sa.update(NOTE).values(answers=sa.func.gen_random_uuid()))


async def not_a_number(session: WriteSession) -> None:
    """invalid input syntax for type integer: "…"."""
    await session.execute(sa.text(f"SELECT '{WORDS}'::int"))


async def no_such_column(session: WriteSession) -> None:
    await session.execute(sa.select(sa.column(WORDS)).select_from(NOTE))


async def raised_in_the_database(session: WriteSession) -> None:
    await session.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION '{WORDS}'; END $$"))


async def wrong_parameter(session: WriteSession) -> None:
    """The driver's words quote the value."""
    await session.execute(sa.select(sa.cast(sa.literal(WORDS, sa.String), sa.Integer)))
    await session.execute(sa.select(sa.bindparam("x", WORDS, sa.Integer)))


async def failed_transaction(session: WriteSession) -> None:
    try:
        await not_a_number(session)
    except DBAPIError:
        await session.execute(sa.text("SELECT 1"))


async def logged_with_its_exception(_: WriteSession) -> None:
    """As libraries do it."""
    try:
        raise ValueError(WORDS)
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
        logging.getLogger("some.library").warning("it failed", exc_info=True)
        log.exception("failed")
        log.warning("failed", exc_info=True)
        raise


async def logged_with_an_exception_of_before(_: WriteSession) -> None:
    failed = ValueError(WORDS)
    log.error("failed", exc_info=failed)
    logging.getLogger("some.library").error("it failed", exc_info=failed)
    logging.getLogger("some.library").error(
        "it failed", exc_info=(ValueError, failed, failed.__traceback__)
    )
    raise failed


async def task_that_nobody_awaits(_: WriteSession) -> None:
    """asyncio says so when the task is forgotten, with the exception in its words."""

    async def fail() -> None:
        raise ValueError(WORDS)

    task = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Exception in callback", "exception": ValueError(WORDS), "context": WORDS}
    )
    raise ValueError(WORDS)


MISHAPS: dict[str, Callable[[WriteSession], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        plain, chained, grouped, named_after_a_person, deep, http, connection_lost, timed_out,
        no_connection_to_be_had, not_encodable, check_violated, key_violated, reference_violated,
        not_a_number, no_such_column, raised_in_the_database, wrong_parameter, failed_transaction,
        logged_with_its_exception, logged_with_an_exception_of_before, task_that_nobody_awaits,
    )
}  # fmt: skip

router = APIRouter(prefix="/v1", tags=["mishaps"], route_class=UnitOfWorkRoute)
MayWrite = Annotated[Caller, requires(Permission.REPORTS_HANDLE)]


@router.post("/mishaps/{kind}")
async def have_mishap(kind: str, told: Told, session: Writing, caller: MayWrite) -> Nothing:
    await MISHAPS[kind](session)
    return Nothing()


@router.post("/wrong-answers")
async def answer_wrongly(told: Told, caller: MayWrite) -> Nothing:
    """FastAPI quotes the answer that does not fit."""
    return {"words": told.words}  # type: ignore[return-value]


@router.get("/streams")
async def break_off(caller: MayWrite) -> Response:
    """The answer has begun when it fails."""

    async def lines() -> AsyncGenerator[bytes]:
        yield b"one\n"
        raise RuntimeError(WORDS)

    return StreamingResponse(lines())
