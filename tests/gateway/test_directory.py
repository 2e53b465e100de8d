"""Routes are learned from the services, whenever these come, go and change."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.gateway.errors import RoutesConflict
from services.gateway.main import create_app
from services.gateway.service import directory
from services.gateway.settings import Settings
from tests.gateway.edge import Edge, behind, edge, serving
from tests.gateway.servers import Upstream, contract, free_port, served


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every unknown path asks again."""
    monkeypatch.setattr(directory, "_LOOK_AGAIN_SECONDS", 0.0)


async def becomes(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.02)


async def status(front: Edge, path: str, method: str = "GET") -> int:
    return (await front.client.request(method, path)).status_code


async def test_a_new_endpoint_needs_nothing_of_the_gateway(
    forwarding: Settings, eager: None
) -> None:
    upstream = Upstream(document=contract({"/v1/old": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        assert await status(front, "/v1/new") == 404
        upstream.document = contract({"/v1/old": ["get", "post"], "/v1/new": ["get"]})
        assert await status(front, "/v1/new") == 200
        assert await status(front, "/v1/old", "POST") == 200
        assert "/v1/new" in (await front.client.get("/openapi.json")).json()["paths"]


async def test_a_removed_endpoint_goes_in_time(forwarding: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/old": ["get"]}))
    async with (
        serving(a=upstream) as urls,
        edge(behind(urls, forwarding, refresh_seconds=0.05)) as front,
    ):
        assert await status(front, "/v1/old") == 200
        upstream.document = contract({"/v1/new": ["get"]})
        asked = upstream.documents_asked
        await becomes(lambda: upstream.documents_asked > asked + 1)
        assert await status(front, "/v1/old") == 404


async def test_unknown_paths_do_not_become_a_flood_of_questions(forwarding: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/old": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        await asyncio.gather(*(status(front, f"/v1/unknown/{n}") for n in range(50)))
        assert upstream.documents_asked <= 2


async def test_what_is_not_public_asks_nobody(forwarding: Settings, eager: None) -> None:
    upstream = Upstream(document=contract({"/v1/old": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        for path in ("/internal/feed", "/favicon.ico", "/"):
            assert await status(front, path) == 404
        assert upstream.documents_asked == 1


async def test_those_who_ask_at_once_share_the_answer(
    forwarding: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_LOOK_AGAIN_SECONDS", 0.2)
    upstream = Upstream(document=contract({"/v1/old": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        await asyncio.sleep(0.3)
        upstream.document = contract({"/v1/new": ["get"]})
        found = await asyncio.gather(*(status(front, "/v1/new") for _ in range(10)))
        assert set(found) == {200}
        assert upstream.documents_asked == 2


async def test_a_service_that_is_not_up_yet(forwarding: Settings) -> None:
    port = free_port()
    early = Upstream(document=contract({"/v1/early": ["get"]}, title="Early"))
    late = Upstream(document=contract({"/v1/late": ["get"]}, title="Late"))
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(serving(early=early))
        settings = behind({**urls, "late": f"http://127.0.0.1:{port}"}, forwarding)
        front = await stack.enter_async_context(edge(settings))
        assert await status(front, "/v1/early") == 200
        # It may well be the missing one's: nobody may be told that there is no such thing.
        refused = await front.client.get("/v1/late")
        assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
        assert await status(front, "/openapi.json") == 503
        assert await status(front, "/internal/late") == 404
        checks = (await front.client.get("/readyz")).json()["checks"]
        assert (checks["routes:early"], checks["routes:late"]) == (True, False)
        assert (checks["early"], checks["late"]) == (True, False)
        await stack.enter_async_context(served(late, port=port))
        await becomes(lambda: late.documents_asked > 0)
        await asyncio.sleep(0.1)
        assert await status(front, "/v1/late") == 200
        assert await status(front, "/v1/never") == 404
        assert await status(front, "/openapi.json") == 200


async def test_a_wrong_token_is_no_way_to_learn_routes(forwarding: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/a": ["get"]}))
    async with serving(a=upstream) as urls:
        settings = behind(urls, forwarding)
        neighbour = settings.upstreams["a"].model_copy(update={"token": settings.signing_key})
        wrong = settings.model_copy(update={"upstreams": {"a": neighbour}})
        async with edge(wrong) as front:
            assert await status(front, "/v1/a") == 503


async def test_two_services_that_claim_one_path_stop_the_start(forwarding: Settings) -> None:
    first = Upstream(document=contract({"/v1/things/{thing_id}": ["get"]}, title="First"))
    second = Upstream(document=contract({"/v1/things/{id}": ["delete"]}, title="Second"))
    async with serving(first=first, second=second) as urls:
        app = create_app(behind(urls, forwarding))
        with pytest.raises(RoutesConflict) as refused:
            async with app.router.lifespan_context(app):
                pass
    assert str(refused.value) == (
        "The path /v1/things/{id} is claimed by two services: first and second."
    )


async def test_a_service_that_claims_the_gateways_own_path_stops_the_start(
    forwarding: Settings,
) -> None:
    thief = Upstream(document=contract({"/oauth/token": ["post"]}))
    async with serving(thief=thief) as urls:
        app = create_app(behind(urls, forwarding))
        with pytest.raises(RoutesConflict, match=r"/oauth/token .* gateway and thief"):
            async with app.router.lifespan_context(app):
                pass


async def test_a_conflict_that_shows_before_all_were_heard_ends_the_process(
    forwarding: Settings, tmp_path: Path
) -> None:
    """Services come up one after the other: the contradiction shows with the last."""
    port, late = free_port(), free_port()
    first = Upstream(document=contract({"/v1/things": ["get"]}, title="First"))
    second = Upstream(document=contract({"/v1/things": ["get"]}, title="Second"))
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(serving(first=first))
        settings = behind({**urls, "second": f"http://127.0.0.1:{late}"}, forwarding)
        environment = {
            "GATEWAY_DATABASE__URL": settings.database.url.get_secret_value(),
            "GATEWAY_SECURITY__ISSUER": settings.security.issuer,
            "GATEWAY_SECURITY__JWKS_URL": settings.security.jwks_url,
            "GATEWAY_SIGNING_KEY": settings.signing_key.get_secret_value(),
        }
        for name, neighbour in settings.upstreams.items():
            environment[f"GATEWAY_UPSTREAMS__{name}__URL"] = neighbour.url
            environment[f"GATEWAY_UPSTREAMS__{name}__TOKEN"] = neighbour.token.get_secret_value()
        command = [sys.executable, "-m", "uvicorn", "--factory", "--port", str(port)]
        output = tmp_path / "log"
        with output.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, "services.gateway.main:create_app",
                env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            await becomes(lambda: first.documents_asked > 1)
            assert process.returncode is None
            await stack.enter_async_context(served(second, port=late))
            await asyncio.wait_for(process.wait(), 15)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert "The path /v1/things is claimed by two services" in output.read_text()


async def test_a_conflict_after_the_start_changes_nothing(
    forwarding: Settings, eager: None, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Upstream(document=contract({"/v1/first": ["get"]}, title="First"))
    second = Upstream(document=contract({"/v1/second": ["get"]}, title="Second"))
    async with serving(first=first, second=second) as urls, edge(behind(urls, forwarding)) as front:
        second.document = contract({"/v1/first": ["get"], "/v1/x": ["get"]}, title="Second")
        first.document = contract({"/v1/first": ["get"], "/v1/more": ["get"]}, title="First")
        # What does not contradict is learned all the same.
        assert await status(front, "/v1/more") == 200
        assert await status(front, "/v1/x") == 404
        assert await status(front, "/v1/second") == 200
        assert len(first.seen) == 1
    assert "claimed by two services: first and second" in capsys.readouterr().err


@pytest.mark.parametrize("document", [[], {"paths": {"/v1/a": None}}, {"paths": 1}, {"a": 1}])
async def test_a_document_that_is_none_changes_nothing(
    forwarding: Settings, eager: None, document: object
) -> None:
    upstream = Upstream(document=contract({"/v1/a": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        upstream.document = document  # pyright: ignore[reportAttributeAccessIssue]
        assert await status(front, "/v1/unknown") == 404
        assert await status(front, "/v1/a") == 200
        assert await status(front, "/livez") == 200


async def test_readiness_is_everyones(forwarding: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/a": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, forwarding)) as front:
        # Its own database is not there.
        answered = await front.client.get("/readyz")
        assert answered.status_code == 503
        assert answered.json()["checks"] == {"database": False, "a": True, "routes:a": True}
        upstream.ready = False
        assert (await front.client.get("/readyz")).json()["checks"]["a"] is False


async def test_ready_when_all_are(settings: Settings) -> None:
    upstream = Upstream(document=contract({"/v1/a": ["get"]}))
    async with serving(a=upstream) as urls, edge(behind(urls, settings)) as front:
        answered = await front.client.get("/readyz")
        assert answered.status_code == 200
        assert answered.json() == {
            "status": "ready",
            "checks": {"database": True, "a": True, "routes:a": True},
        }
