"""The route class of every service: who may come in, and one transaction closed before the answer.

What a route does is read off its endpoint's signature once, when the app is built:

- `requires(...)` names the permission; it is checked before a byte of the body is read;
- `Reading` gives a session in autocommit;
- `Writing` makes the request one transaction: committed here, after the answer is complete and
  before it leaves, so nobody is told of a success that the commit then refuses;
- a query parameter or form field that nobody declared is refused before the endpoint runs.
"""

import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import Depends, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from services.common import idempotency, origin, outbox
from services.common.access import Permission
from services.common.clock import Clock
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.problems import (
    FieldError,
    Malformed,
    Problem,
    RequestInvalid,
    RoleForbidden,
    Text,
)
from services.common.security import Caller, Requires, TokenVerifier

IDEMPOTENCY_KEY = "idempotency-key"
_SESSION = "shequ.session"
_MAX_FAULTS = 50
_HASH_AT_ONCE = 256 * 1024


def reading(request: Request) -> ReadSession:
    session: ReadSession = request.scope[_SESSION]
    return session


def writing(request: Request) -> WriteSession:
    session: WriteSession = request.scope[_SESSION]
    return session


Reading = Annotated[ReadSession, Depends(reading)]
Writing = Annotated[WriteSession, Depends(writing)]

_PUBLIC = "__shequ_public__"
_SECRET = "__shequ_secret__"  # noqa: S105 - the name of a mark, not a password
_LATE_TRANSACTION = "__shequ_late_transaction__"


def public(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint that asks for no token. Few may: sign-in, keys, health, the contract."""
    setattr(endpoint, _PUBLIC, True)
    return endpoint


def secret(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint whose answer must never be stored: it shows plain values."""
    setattr(endpoint, _SECRET, True)
    return endpoint


def late_transaction(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint that works or waits for long before its first statement: it stores files,
    asks a neighbour.

    No transaction is open meanwhile: an Idempotency-Key is looked up before, and claimed in the
    endpoint's transaction once that is through.
    """
    setattr(endpoint, _LATE_TRANSACTION, True)
    return endpoint


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for dependency in dependant.dependencies:
        if dependency.call is not None:
            yield dependency.call
        yield from _calls(dependency)


def refuse_unguarded(routes: Sequence[BaseRoute]) -> None:
    """Raises RuntimeError for a route of another class than ours that is not marked public."""
    for context in iter_route_contexts(routes):
        route = context.original_route
        marked = hasattr(getattr(route, "endpoint", None), _PUBLIC)
        if not isinstance(route, UnitOfWorkRoute) and not marked:
            raise RuntimeError(f"{context.path}: the route asks nobody for a permission")


class UnitOfWorkRoute(APIRoute):
    """See the module. `permission` is None only for public endpoints."""

    @property
    def permission(self) -> Permission | None:
        found = [call.permission for call in _calls(self.dependant) if isinstance(call, Requires)]
        if not found and not hasattr(self.endpoint, _PUBLIC):
            raise RuntimeError(f"{self.path}: the endpoint names no permission and is not public")
        if len(set(found)) > 1:
            raise RuntimeError(f"{self.path}: the endpoint names more than one permission")
        return found[0] if found else None

    @property
    def writes(self) -> bool:
        return any(call is writing for call in _calls(self.dependant))

    @property
    def happens_once(self) -> bool:
        """Whether an Idempotency-Key means something here."""
        return self.writes and self.methods == {"POST"} and not hasattr(self.endpoint, _SECRET)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = super().get_route_handler()
        permission, writes, happens_once = self.permission, self.writes, self.happens_once
        claims_last = hasattr(self.endpoint, _LATE_TRANSACTION)
        parameters = frozenset(_query_parameters(self.dependant))
        fields = self._form_fields()

        async def answer(request: Request) -> Response:
            sessions: Sessions = request.state.sessions
            if not writes:
                async with sessions.read() as session:
                    request.scope[_SESSION] = session
                    return await endpoint(request)
            once = await _once(request, is_form=fields is not None) if happens_once else None
            response = None
            if once is not None and claims_last:
                async with sessions.read() as session:
                    response = await idempotency.stored(session, once)
            # A repeated answer says how far the feed is, too: the first one may have been lost.
            emitted = request.state.feed is not None
            if response is None:
                response, emitted = await _one_transaction(
                    request, sessions, endpoint, once, claims_last
                )
            if emitted:
                await _say_position(request, response)
            return response

        async def handle(request: Request) -> Response:
            if permission is not None:
                verifier: TokenVerifier = request.state.verifier
                caller = await verifier.caller(request)
                if not caller.may(permission):
                    raise RoleForbidden()
                request.scope["shequ.caller"] = caller
            _refuse_unknown("/query/", request.query_params, parameters)
            try:
                if fields is not None:
                    _refuse_unknown("/", await _form(request), fields)
                response = await answer(request)
            finally:
                await request.close()  # the files of a form
            if response.status_code == HTTPStatus.NO_CONTENT:
                del response.headers["content-type"]  # of what is not there
            return response

        return handle

    def _form_fields(self) -> frozenset[str] | None:
        """The names that a form may have here; None for a route that takes no form."""
        if self.body_field is None or not isinstance(self.body_field.field_info, params.Form):
            return None
        return frozenset(_names(self.body_field.field_info, self.body_field.name))


async def _form(request: Request) -> FormData:
    """The form, as the endpoint will find it, too. Raises Malformed."""
    try:
        return await request.form()
    except Problem:
        raise
    except Exception:  # noqa: BLE001 - a stranger wrote it: whatever it breaks
        raise Malformed() from None


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield from _names(parameter.field_info, parameter.name)
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)


def _names(info: FieldInfo, name: str) -> Iterator[str]:
    """What a parameter is called on the wire; of a model, its fields."""
    model: Any = info.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        for inner, field in model.model_fields.items():
            yield from _names(field, inner)
    else:
        yield info.alias or name


def _refuse_unknown(prefix: str, sent: Iterable[str], known: frozenset[str]) -> None:
    unknown = [name for name in sent if name not in known][:_MAX_FAULTS]
    if unknown:
        raise RequestInvalid(errors=tuple(_unknown(prefix, name) for name in unknown))


def _unknown(prefix: str, name: str) -> FieldError:
    pointer = prefix + name.replace("~", "~0").replace("/", "~1")
    # As Pydantic calls it in a JSON body.
    detail = Text("未知的字段", "Extra inputs are not permitted")
    return FieldError(pointer, "extra_forbidden", detail)


async def _one_transaction(
    request: Request,
    sessions: Sessions,
    endpoint: Callable[[Request], Coroutine[Any, Any, Response]],
    once: idempotency.Once | None,
    claims_last: bool,
) -> tuple[Response, bool]:
    """The answer, and whether there may be events behind it."""
    produces = request.state.feed is not None
    async with sessions.writing() as plain:
        session = WriteSession(ReadSession(plain))
        request.scope[_SESSION] = session
        if request.state.keeps_history:
            _say_origin(request, session)
        if once is None:
            response = await endpoint(request)
        elif claims_last:
            response = await endpoint(request)
            # A twin of this request may have committed meanwhile: what this one did is rolled back.
            if (stored := await idempotency.begin(session, once)) is not None:
                return stored, produces
            await idempotency.finish(session, once, response)
        else:
            if (stored := await idempotency.begin(session, once)) is not None:
                return stored, produces
            response = await endpoint(request)
            await idempotency.finish(session, once, response)
        emitted = outbox.has_events(session)
        await cast(AsyncSession, session).commit()
    return response, emitted


def _say_origin(request: Request, session: WriteSession) -> None:
    caller: Caller | None = request.scope.get("shequ.caller")
    clock: Clock = request.state.clock
    actor = caller.sub if caller is not None else "public"
    origin.say_at_begin(session, actor=actor, source=origin.API, at=clock.now())


async def _say_position(request: Request, response: Response) -> None:
    publisher: outbox.Publisher = request.state.publisher
    # It is committed: a refusal now would have it sent once more.
    if (position := await publisher.publish_if_reachable()) is not None:
        response.headers["Position"] = str(position)


async def _once(request: Request, *, is_form: bool) -> idempotency.Once | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    caller: Caller | None = request.scope.get("shequ.caller")
    if key is None or caller is None:
        return None
    said = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    if is_form:
        said.update(await _content_of(await request.form()))
    else:
        said.update(await request.body())
    return idempotency.Once.of(caller.sub, key, fingerprint=said.digest())


async def _content_of(form: FormData) -> bytes:
    """Part by part: the boundary between them is new each time. Files, on disk, by their hash."""
    said = bytearray()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            file = hashlib.sha256()
            while chunk := await value.read(_HASH_AT_ONCE):
                file.update(chunk)
            await value.seek(0)
            part = [name, value.filename, value.content_type, file.hexdigest()]
        else:
            part = [name, value]
        said += json.dumps(part).encode() + b"\n"
    return bytes(said)
