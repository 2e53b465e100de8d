"""The route class of every service: who may come in, and one transaction closed before the answer.

What a route does is read off its endpoint's signature once, when the app is built:

- `requires(...)` names the permission; it is checked before a byte of the body is read;
- `Reading` gives a session in autocommit;
- `Writing` makes the request one transaction: committed here, after the answer is complete and
  before it leaves, so nobody is told of a success that the commit then refuses.
"""

import hashlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any, cast

import structlog
from fastapi import Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from services.common import idempotency, outbox
from services.common.access import Permission
from services.common.database import UNREACHABLE, ReadSession, Sessions, WriteSession
from services.common.problems import RoleForbidden
from services.common.security import Caller, Requires, TokenVerifier

log = structlog.get_logger(__name__)

IDEMPOTENCY_KEY = "idempotency-key"
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_SESSION = "shequ.session"


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
_UPLOADS = "__shequ_uploads__"


def public(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint that asks for no token. Few may: sign-in, keys, health, the contract."""
    setattr(endpoint, _PUBLIC, True)
    return endpoint


def secret(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint whose answer must never be stored: it shows plain values."""
    setattr(endpoint, _SECRET, True)
    return endpoint


def uploads(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint that takes in files before it says its first statement.

    No transaction is open while they arrive and are worked on: an Idempotency-Key is looked up
    before, and claimed in the endpoint's transaction once that is through.
    """
    setattr(endpoint, _UPLOADS, True)
    return endpoint


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for dependency in dependant.dependencies:
        if dependency.call is not None:
            yield dependency.call
        yield from _calls(dependency)


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

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = super().get_route_handler()
        permission, writes = self.permission, self.writes
        stores_answers = not hasattr(self.endpoint, _SECRET)
        claims_last = hasattr(self.endpoint, _UPLOADS)

        async def handle(request: Request) -> Response:
            if permission is not None:
                verifier: TokenVerifier = request.state.verifier
                caller = await verifier.caller(request)
                if not caller.may(permission):
                    raise RoleForbidden()
                request.scope["shequ.caller"] = caller
            sessions: Sessions = request.state.sessions
            if not writes:
                async with sessions.read() as session:
                    request.scope[_SESSION] = session
                    return await endpoint(request)
            once = await _once(request) if stores_answers else None
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

        return handle


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


async def _say_position(request: Request, response: Response) -> None:
    publisher: outbox.Publisher = request.state.publisher
    try:
        response.headers["Position"] = str(await publisher.publish())
    except UNREACHABLE as failed:
        # It is committed: a refusal now would have it sent once more. The sweep will number it.
        log.warning("outbox.not_numbered", error=type(failed).__name__)


async def _once(request: Request) -> idempotency.Once | None:
    key = request.headers.get(IDEMPOTENCY_KEY)
    caller: Caller | None = request.scope.get("shequ.caller")
    if key is None or request.method != "POST" or caller is None:
        return None
    # A form is a stream that can be read once, and it belongs to the endpoint: its length has to do
    # as its fingerprint (its type names a boundary, which is new each time).
    if request.headers.get("content-type", "").lower().startswith(_FORMS):
        content = request.headers.get("content-length", "").encode()
    else:
        content = await request.body()
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return idempotency.Once.of(
        caller.sub, key, fingerprint=hashlib.sha256(target + content).digest()
    )
