"""One request to a service and its answer back, streamed both ways."""

import asyncio
from collections.abc import AsyncIterator

import structlog
from starlette.types import Message, Receive, Scope, Send

from services.common.problems import Malformed, Problem, TooLarge
from services.gateway.proxy import headers
from services.gateway.proxy.upstream import Answer, BrokenOff, UpstreamClient

log = structlog.get_logger(__name__)

# Most answers are complete by then, and need nobody to listen for the client's leaving.
_WATCH_AFTER_SECONDS = 0.1
_CLIENT_LEFT = 499  # as nginx counts them: nobody's failure


class _ClientLeft(Exception):
    """The connection closed while the body was on its way."""


class _Upload:
    """The body of a request, from the server's hands to the client library's.

    `failure` is why it ended early: the library wraps whatever is raised inside it.
    """

    def __init__(self, receive: Receive, first: Message, *, limit: int) -> None:
        self._receive = receive
        self._first = first
        self._limit = limit
        self.complete = False
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        message, read = self._first, 0
        while True:
            chunk: bytes = message.get("body", b"")
            read += len(chunk)
            if message["type"] == "http.disconnect":
                self.failure = _ClientLeft()
            elif read > self._limit:
                self.failure = TooLarge()
            if self.failure is not None:
                raise self.failure
            if chunk:
                yield chunk
            if not message.get("more_body"):
                self.complete = True
                return
            message = await self._receive()


class _Watch:
    """Cancels the request's task when the client leaves, so that the service stops working for
    nobody. Only whoever reads the body may call `receive`; so it begins when that is done.
    """

    def __init__(self, receive: Receive, upload: _Upload | None) -> None:
        self._receive = receive
        self._upload = upload
        self._handling = asyncio.current_task()
        self._listening: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_WATCH_AFTER_SECONDS, self._begin)
        self.client_left = False

    def _begin(self) -> None:
        if self._upload is None or self._upload.complete:
            self._listening = self._loop.create_task(self._listen())
        else:
            self._timer = self._loop.call_later(_WATCH_AFTER_SECONDS, self._begin)

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        if self._handling is not None:
            self._handling.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()


async def forward(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    client: UpstreamClient,
    base_url: str,
    method: str,
    max_body_bytes: int,
) -> None:
    """Pass a request on and its answer back. Raises a Problem as long as nothing was answered."""
    body = await _body(scope, receive, limit=max_body_bytes)
    upload = body if isinstance(body, _Upload) else None
    watch = _Watch(receive, upload)
    answer: Answer | None = None
    try:
        answer = await client.send(
            method,
            base_url + _target(scope),
            headers=headers.upstream(scope),
            body=aiter(body) if isinstance(body, _Upload) else body,
        )
        await _answer(answer, send, without_body=scope["method"] == "HEAD")
    except Problem:
        if upload is None or upload.failure is None:
            raise
        if isinstance(upload.failure, Problem):
            raise upload.failure from None
        await _note_departure(send)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not watch.client_left or (task is not None and task.uncancel()):
            raise
        if answer is None:
            await _note_departure(send)
    finally:
        watch.end()
        if answer is not None:
            answer.close()


async def _note_departure(send: Send) -> None:
    """For the log and the metrics only: the server has nobody to send it to."""
    await send({"type": "http.response.start", "status": _CLIENT_LEFT, "headers": []})


def _target(scope: Scope) -> str:
    target: str = scope["raw_path"].decode("ascii")
    query: bytes = scope["query_string"]
    return f"{target}?{query.decode('ascii', 'replace')}" if query else target


async def _body(scope: Scope, receive: Receive, *, limit: int) -> bytes | _Upload | None:
    """The body to send: None, all of it at once if it has arrived, or a stream."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    # Two ways to say where the body ends are a way to smuggle a second request past somebody.
    if len(lengths) > 1 or (lengths and chunked) or not all(v.isdigit() for v in lengths):
        raise Malformed()
    if not chunked and (not lengths or int(lengths[0][:19]) == 0):
        return None
    if lengths and int(lengths[0][:19]) > limit:
        raise TooLarge()
    first = await receive()
    if first["type"] == "http.request" and not first.get("more_body"):
        whole: bytes = first.get("body", b"")
        if len(whole) > limit:
            raise TooLarge()
        return whole
    return _Upload(receive, first, limit=limit)


async def _answer(answer: Answer, send: Send, *, without_body: bool) -> None:
    passed = headers.downstream(answer.headers, status=answer.status)
    await send({"type": "http.response.start", "status": answer.status, "headers": passed})
    if without_body:
        await send({"type": "http.response.body", "body": b""})
        return
    try:
        while True:
            chunk = await answer.read()
            ended = answer.at_end
            await send({"type": "http.response.body", "body": chunk, "more_body": not ended})
            if ended:
                return
    except BrokenOff as broken:
        # The head is gone: all that is left is to let the connection end without the rest, which
        # is what the server makes of an answer that was never completed.
        log.warning("upstream.broke_off", error=str(broken))
