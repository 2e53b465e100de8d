"""Signing in and out as an app does it, with an account that was made beside the running town."""

import base64
import json
import subprocess

import httpx

from tests.journeys.conftest import SHEQU, RunningTown
from tests.residents_api.people import VILLAGE


def made(town: RunningTown, name: str) -> str:
    """A community worker's account, by the command; the password it was given."""
    answer = subprocess.run(
        [SHEQU, "account", "create", name, "--role", "community_worker", "--area", VILLAGE],
        check=True,
        capture_output=True,
        text=True,
        env=town.environment,
    )
    return answer.stdout.split()[-1]


async def grant(town: RunningTown, **form: str) -> httpx.Response:
    return await town.client().post("/oauth/token", data=form)


async def test_in_and_out(town: RunningTown) -> None:
    password = made(town, "journey.in.out")
    answer = await grant(town, grant_type="password", username="journey.in.out", password=password)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    signed_in = answer.json()
    assert (signed_in["token_type"], signed_in["expires_in"]) == ("Bearer", 900)
    head = signed_in["access_token"].split(".")[0]
    key_id = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    keys = (await town.client().get("/.well-known/jwks.json")).json()["keys"]
    assert key_id in {key["kid"] for key in keys}
    assert all("d" not in key for key in keys)

    answer = await grant(town, grant_type="refresh_token", refresh_token=signed_in["refresh_token"])
    assert answer.status_code == 200, answer.text
    refreshed = answer.json()
    worker = town.client(refreshed["access_token"])
    assert (await worker.get("/v1/me")).json()["account"] == "journey.in.out"
    assert (await worker.post("/v1/sign-out")).status_code == 204
    answer = await grant(town, grant_type="refresh_token", refresh_token=refreshed["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_guessing_is_throttled(town: RunningTown) -> None:
    password = made(town, "journey.guessed")

    async def tried(guess: str) -> httpx.Response:
        return await grant(town, grant_type="password", username="journey.guessed", password=guess)

    for _ in range(10):
        wrong = await tried("wrong horse")
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    # Not even the right one, for a while; and nobody else has to wait for it.
    refused = await tried(password)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await town.as_account("village").get("/v1/me")).status_code == 200


async def test_a_client_has_its_scopes(town: RunningTown) -> None:
    platform = town.as_account("platform")
    rule = {"rule": {"area": VILLAGE}}
    assert (await platform.post("/v1/audiences/count", json=rule)).status_code == 200
    refused = await platform.post("/v1/residents", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "role.forbidden")
