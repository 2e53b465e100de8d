"""One handler speaks problem+json for everything that can go wrong in a service."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from asyncpg.exceptions import DataError as DriverDataError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common import telemetry
from services.common.problems import (
    FieldError,
    InternalError,
    Malformed,
    MediaTypeUnsupported,
    MethodNotAllowed,
    Problem,
    RequestInvalid,
    RouteNotFound,
    Text,
    TooLarge,
    Unavailable,
)
from services.common.schemas import ProblemRead

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
Refusals = Mapping[str, type[Problem]]


def refuses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: what it may refuse, for the contract."""
    responses: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        response = responses.setdefault(
            problem.status,
            {
                "description": HTTPStatus(problem.status).phrase,
                "model": ProblemRead,
                "content": {MEDIA_TYPE: {"examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][problem.code] = {
            "summary": problem.title.en,
            "value": document(problem(), language="zh", instance="urn:request:…"),  # pyright: ignore[reportCallIssue]
        }
    return responses


def document(problem: Problem, *, language: str, instance: str) -> dict[str, Any]:
    """The body of a refusal."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title.in_language(language),
        "status": problem.status,
        "detail": problem.detail.in_language(language),
        "instance": instance,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = [
            {"pointer": e.pointer, "code": e.code, "detail": e.detail.in_language(language)}
            for e in problem.errors
        ]
    return body | problem.members


def language(request: Request) -> str:
    """`en` if Accept-Language asks for English before Chinese, else `zh`."""
    best, chosen = 0.0, "zh"
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, parameter = part.lower().partition(";")
        try:
            weight = float(parameter.partition("=")[2]) if parameter else 1.0
        except ValueError:
            continue
        name = tag.strip().partition("-")[0]
        if name in {"zh", "en"} and weight > best:
            best, chosen = weight, name
    return chosen


def answer(request: Request, problem: Problem) -> Response:
    request_id = telemetry.request_id()
    body = document(problem, language=language(request), instance=f"urn:request:{request_id}")
    return Response(
        json.dumps(body, ensure_ascii=False),
        status_code=problem.status,
        headers={**problem.headers, "Content-Language": language(request)},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI, refusals: Refusals) -> None:
    """Answer every exception with a problem. `refusals` maps constraint names to problems."""

    def handle(request: Request, raised: Exception) -> Response:
        return answer(request, problem_of(raised, refusals))

    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)
    app.add_middleware(AnythingElse, refusals=refusals)


class AnythingElse:
    """Answers what has no handler of its own, before the server prints it with all its values."""

    def __init__(self, app: ASGIApp, *, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as raised:
            if scope["type"] != "http":
                raise
            problem = problem_of(raised, self._refusals)
            if not started:
                await answer(Request(scope), problem)(scope, receive, send)


def problem_of(raised: Exception, refusals: Refusals) -> Problem:
    """Which problem an exception amounts to. What nobody foresaw is logged and is a 500."""
    problem: Problem
    match raised:
        case Problem():
            problem = raised
        case RequestValidationError():
            problem = _validation(raised)
        case HTTPException():
            problem = _http(raised)
        case IntegrityError():
            kind = refusals.get(getattr(_cause(raised), "constraint_name", None) or "")
            problem = kind() if kind else _unforeseen(raised)
        case DBAPIError():
            problem = _database(raised)
        case PoolTimeout() | ConnectionError() | TimeoutError():
            log.warning("database.unreachable", error=type(raised).__name__)
            problem = Unavailable()
        case UnicodeError():
            problem = RequestInvalid()
        case ClientDisconnect():
            problem = Malformed()  # half a body; nobody is there to be told
        case _:
            problem = _unforeseen(raised)
    return problem


def _cause(raised: DBAPIError) -> BaseException | None:
    return raised.orig.__cause__ if raised.orig is not None else None


def sqlstate(raised: BaseException) -> str:
    """PostgreSQL's code of what went wrong; empty if it was not PostgreSQL that refused."""
    cause = _cause(raised) if isinstance(raised, DBAPIError) else raised
    return str(getattr(cause, "sqlstate", None) or "")


def passes(raised: DBAPIError) -> bool:
    """Whether the same may succeed later: the database was away, busy, or chose another to win."""
    if isinstance(_cause(raised), DriverDataError | UnicodeError):
        return False
    # 08, 53, 57: connection, resources, shutdown. 40: serialisation and deadlock; 55: lock timeout.
    state = sqlstate(raised)
    return raised.connection_invalidated or not state or state[:2] in {"08", "40", "53", "55", "57"}


def _database(raised: DBAPIError) -> Problem:
    cause = _cause(raised)
    state = sqlstate(raised)
    # 22: a value PostgreSQL cannot hold (a NUL, a number out of range). The schema should have
    # refused it; until it does, the caller still gets told that it is their input.
    if state.startswith("22") or isinstance(cause, DriverDataError | UnicodeError):
        log.warning("database.value_refused", sqlstate=state)
        return RequestInvalid()
    if passes(raised):
        log.warning("database.unreachable", sqlstate=state, error=type(cause).__name__)
        return Unavailable()
    return _unforeseen(raised)


def _unforeseen(raised: Exception) -> Problem:
    telemetry.log_unforeseen(raised)
    return InternalError()


def _http(raised: HTTPException) -> Problem:
    # A refusal raised while the body was read reaches us wrapped into "could not parse".
    if isinstance(raised.__cause__, Problem):
        return raised.__cause__
    known: dict[int, type[Problem]] = {
        400: Malformed,
        404: RouteNotFound,
        405: MethodNotAllowed,
        413: TooLarge,
        415: MediaTypeUnsupported,
    }
    kind = known.get(raised.status_code)
    return kind(headers=raised.headers) if kind else _unforeseen(raised)


_DETAILS_ZH = {
    "missing": "缺少必填项",
    "extra_forbidden": "未知的字段",
    "string_type": "应为文本",
    "string_too_short": "内容过短",
    "string_too_long": "内容过长",
    "string_pattern_mismatch": "格式不正确",
    "string_unicode": "含有无法识别的字符",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "bool_type": "应为是或否",
    "bool_parsing": "应为是或否",
    "enum": "不在可选值之内",
    "literal_error": "不在可选值之内",
    "uuid_parsing": "不是有效的标识",
    "uuid_type": "不是有效的标识",
    "date_type": "应为日期（YYYY-MM-DD）",
    "date_parsing": "应为日期（YYYY-MM-DD）",
    "date_from_datetime_parsing": "应为日期（YYYY-MM-DD）",
    "list_type": "应为列表",
    "too_short": "项目过少",
    "too_long": "项目过多",
    "greater_than_equal": "数值过小",
    "greater_than": "数值过小",
    "less_than_equal": "数值过大",
    "less_than": "数值过大",
    "model_attributes_type": "应为对象",
    "dict_type": "应为对象",
    "text.control_character": "不允许控制字符",
    "text.line_break": "只能是一行文字，不允许换行和制表符",
    "area.malformed": "不是有效的区域",
    "position.malformed": "不是有效的位置标记",
}


_QUOTING = {
    "assertion_error",
    "union_tag_invalid",
    "url_parsing",
    "url_syntax_violation",
    "uuid_parsing",
    "value_error",
}


def _validation(raised: RequestValidationError) -> Problem:
    errors = [cast("dict[str, Any]", error) for error in raised.errors()]
    if any(error["type"] == "json_invalid" for error in errors):
        return Malformed()
    return RequestInvalid(errors=tuple(field_error(error) for error in errors[:50]))


def field_error(error: Mapping[str, Any], *, prefix: tuple[str | int, ...] = ()) -> FieldError:
    """A Pydantic error as ours. Its `input` is dropped: it may be somebody's name or number."""
    location = [str(part) for part in (*prefix, *error["loc"])]
    if location and location[0] == "body":
        location = location[1:]
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in location)
    code = str(error["type"])
    # Our own validators bring their Chinese sentence along (`schemas.fault`).
    zh = error.get("ctx", {}).get("zh") or _DETAILS_ZH.get(code, "内容无效")
    return FieldError(pointer, code, Text(zh, _without_input(error)))


def _without_input(error: Mapping[str, Any]) -> str:
    # Messages of validators written as `raise ValueError(...)` could repeat the value (ours use
    # PydanticCustomError with a fixed sentence); Pydantic's own of these kinds quote some of it.
    return "Not valid" if error["type"] in _QUOTING else str(error["msg"])
