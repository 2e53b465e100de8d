"""Request ids, traces and measurements."""

import re

import httpx
import pytest
import sqlalchemy as sa

from services.common import http, telemetry
from services.common.outbox import OUTBOX
from tests.houses import App

_TRACE = "0af7651916cd43dd8448eb211c80319c"
_PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize(
    "given", ["abcdefgh", "a" * 64, "0af76519-16cd-43dd-8448-eb211c80319c", "A.b_c-d9"]
)
async def test_a_request_id_is_kept(standing_board: App, given: str) -> None:
    answer = await standing_board.client().get("/livez", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", [None, "", "short", "a" * 65, "with space", "a/b/c/d/e", "a\tbcdefgh", "<script>alert",
              "abcdefgh\x7f", "ünïcödé!"],
)  # fmt: skip
async def test_a_request_id_that_will_not_do_is_replaced(
    standing_board: App, given: str | None
) -> None:
    headers = {} if given is None else {"x-request-id": given.encode()}
    answer = await standing_board.client().get("/v1/notes", headers=headers)
    new = answer.headers.get_list("x-request-id")
    assert len(new) == 1
    assert re.fullmatch("[0-9a-f]{32}", new[0])
    assert answer.json()["instance"] == f"urn:request:{new[0]}"


@pytest.mark.parametrize(
    ("given", "trace_id", "flags"),
    [
        (f"00-{_TRACE}-{_PARENT}-01", _TRACE, "01"),
        (f"00-{_TRACE}-{_PARENT}-00", _TRACE, "00"),
        (None, None, "00"),
        ("", None, "00"),
        (f"00-{'0' * 32}-{_PARENT}-01", None, "00"),
        (f"00-{_TRACE}-{'0' * 16}-01", None, "00"),
        (f"00-{_TRACE.upper()}-{_PARENT}-01", None, "00"),
        (f"ff-{_TRACE}-{_PARENT}-01", None, "00"),
        (f"00-{_TRACE}-{_PARENT}-01-more", None, "00"),
        (f"00-{_TRACE}-{_PARENT}", None, "00"),
        (f" 00-{_TRACE}-{_PARENT}-01", None, "00"),
        ("00-" + "g" * 32 + f"-{_PARENT}-01", None, "00"),
        ("00-" + "٣" * 32 + f"-{_PARENT}-01", None, "00"),
    ],
)
def test_a_trace_goes_on_or_begins(given: str | None, trace_id: str | None, flags: str) -> None:
    _, ours = telemetry.trace(None, given)
    version, found, parent, found_flags = ours.split("-")
    assert (version, found_flags) == ("00", flags)
    assert found == trace_id if trace_id else re.fullmatch("[0-9a-f]{32}", found)
    # The next hop's parent is this one, not the one before.
    assert re.fullmatch("[0-9a-f]{16}", parent)
    assert parent != _PARENT
    assert found != _TRACE or trace_id == _TRACE


async def test_an_event_remembers_its_trace(board: App, worker: httpx.AsyncClient) -> None:
    header = {"traceparent": f"00-{_TRACE}-{_PARENT}-01"}
    await worker.post("/v1/notes", json={"text": "a"}, headers=header)
    async with board.state["sessions"].read() as session:
        kept = await session.scalar(sa.select(OUTBOX.c.traceparent))
    assert kept.startswith(f"00-{_TRACE}-")
    assert kept != header["traceparent"]


async def test_calls_to_neighbours_carry_the_ids_on() -> None:
    seen: list[httpx.Headers] = []

    def neighbour(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200)

    async def app(scope: object, receive: object, send: object) -> None:
        async with http.client(
            base_url="http://neighbour.test", token="t", transport=httpx.MockTransport(neighbour)
        ) as client:
            await client.get("/")
            await client.get("/", headers={"x-request-id": "my-own-one"})

    metrics = telemetry.Metrics()
    asgi = telemetry.TelemetryMiddleware(app, metrics=metrics)
    headers = [
        (b"x-request-id", b"abcdefgh"),
        (b"traceparent", f"00-{_TRACE}-{_PARENT}-01".encode()),
    ]
    await asgi({"type": "http", "method": "GET", "headers": headers}, None, None)  # type: ignore[arg-type]
    assert [each["x-request-id"] for each in seen] == ["abcdefgh", "my-own-one"]
    assert all(each["traceparent"].startswith(f"00-{_TRACE}-") for each in seen)
    assert all(each["authorization"] == "Bearer t" for each in seen)
    # Outside of a request there is nothing to carry on.
    assert telemetry.outgoing_headers() == {}
    assert telemetry.request_id() == "-"


async def test_requests_are_counted_by_template(board: App, worker: httpx.AsyncClient) -> None:
    note = (await worker.post("/v1/notes", json={"text": "a"})).json()
    for _ in range(3):
        await worker.get(f"/v1/notes/{note['id']}?")
    await worker.get("/nowhere/at/all")
    await worker.delete("/v1/notes")
    found = (await board.as_service().get("/metrics")).text

    def counted(method: str, route: str, status: int) -> float:
        labels = f'method="{method}",route="{route}",status="{status}"'
        (line,) = [
            line
            for line in found.splitlines()
            if line.startswith(f"http_requests_total{{{labels}}}")
        ]
        return float(line.rpartition(" ")[2])

    assert counted("GET", "/v1/notes/{note_id}", 200) == 3
    assert counted("POST", "/v1/notes", 201) == 1
    assert counted("GET", "-", 404) == 1
    assert counted("DELETE", "/v1/notes", 405) == 1
    assert 'http_request_seconds_count{method="GET",route="/v1/notes/{note_id}"} 3.0' in found
    assert note["id"] not in found
    assert "nowhere" not in found


async def test_each_app_has_its_own_metrics(board: App) -> None:
    first, second = telemetry.Metrics(), telemetry.Metrics()
    first.requests.labels("GET", "/a", 200).inc()
    assert first.registry.get_sample_value(
        "http_requests_total", {"method": "GET", "route": "/a", "status": "200"}
    )
    assert list(second.registry.collect()) != list(first.registry.collect())
