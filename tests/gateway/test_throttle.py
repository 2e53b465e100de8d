"""Guessing is slow, and the count outlives refusals, requests and workers."""

import asyncio
import io
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.gateway.main import create_app
from services.gateway.models import Account
from services.gateway.service.throttle import network
from services.gateway.settings import Settings, SignInSettings
from tests.conftest import FixedClock
from tests.gateway.conftest import PASSWORD, SignIn
from tests.houses import App, Identity, opened

LIMITS = SignInSettings(failures_per_account=3, failures_per_peer=6, window_seconds=60)


@pytest.fixture
async def gateway(settings: Settings, identity: Identity, clock: FixedClock) -> AsyncGenerator[App]:
    strict = settings.model_copy(update={"sign_in": LIMITS})
    async with opened(create_app(strict, clock=clock), identity) as open_app:
        yield open_app


async def fail(sign_in: SignIn, name: str = "wang.li", *, times: int = 1) -> httpx.Response:
    answers = [await sign_in.password(name, "wrong horse") for _ in range(times)]
    return answers[-1]


async def test_after_so_many_failures_a_name_has_to_wait(
    account: Account, sign_in: SignIn, clock: FixedClock
) -> None:
    assert (await fail(sign_in, times=3)).status_code == 400
    clock.advance(timedelta(seconds=10))
    refused = await sign_in.password()
    assert refused.status_code == 429
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.headers["retry-after"] == "50"
    clock.advance(timedelta(seconds=50))
    assert (await sign_in.password()).status_code == 200


async def test_being_refused_does_not_prolong_the_wait(
    account: Account, sign_in: SignIn, clock: FixedClock
) -> None:
    await fail(sign_in, times=3)
    clock.advance(timedelta(seconds=59))
    assert (await sign_in.password()).status_code == 429
    clock.advance(timedelta(seconds=1))
    assert (await sign_in.password()).status_code == 200


async def test_an_unknown_name_is_throttled_like_any(account: Account, sign_in: SignIn) -> None:
    await fail(sign_in, "nobody", times=3)
    assert (await fail(sign_in, "nobody")).status_code == 429
    assert (await sign_in.password()).status_code == 200


async def test_success_forgives_the_name(account: Account, sign_in: SignIn) -> None:
    for _ in range(2):
        await fail(sign_in, times=2)
        assert (await sign_in.password()).status_code == 200


async def test_an_address_that_tries_many_names_has_to_wait(
    account: Account, sign_in: SignIn
) -> None:
    for number in range(6):
        await fail(sign_in, f"name{number}")
    assert (await sign_in.password()).status_code == 429


async def test_a_clients_secret_cannot_be_guessed_either(platform: str, sign_in: SignIn) -> None:
    for expected in (401, 401, 401, 429):
        answer = await sign_in(grant_type="client_credentials", auth=(platform, "wrong"))
        assert answer.status_code == expected


async def test_workers_share_the_count(
    account: Account, sign_in: SignIn, gateway: App, settings: Settings, clock: FixedClock,
    identity: Identity,
) -> None:  # fmt: skip
    await fail(sign_in, times=3)
    strict = settings.model_copy(update={"sign_in": LIMITS})
    async with opened(create_app(strict, clock=clock), identity) as another:
        assert (await SignIn(another).password()).status_code == 429


async def test_guesses_at_once_overshoot_by_the_threads_at_most(
    account: Account, sign_in: SignIn
) -> None:
    answers = await asyncio.gather(*(fail(sign_in) for _ in range(20)))
    guessed = [answer for answer in answers if answer.status_code == 400]
    assert 3 <= len(guessed) <= 3 + LIMITS.threads - 1
    assert all(answer.status_code in {400, 429} for answer in answers)


async def test_a_flood_is_turned_away_rather_than_queued(
    settings: Settings, identity: Identity, clock: FixedClock
) -> None:
    narrow = SignInSettings(threads=1, waiting=1)
    app = create_app(settings.model_copy(update={"sign_in": narrow}), clock=clock)
    async with opened(app, identity) as open_app:
        sign_in = SignIn(open_app)
        answers = await asyncio.gather(*(fail(sign_in, f"name{n}") for n in range(6)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [400, 400, 503, 503, 503, 503]
        assert (await fail(sign_in)).status_code == 400


async def test_the_log_names_nobody(logs: io.StringIO, account: Account, sign_in: SignIn) -> None:
    await fail(sign_in)
    await sign_in.password()
    text = logs.getvalue()
    assert "sign_in.refused" in text
    for private in ("wang.li", "wrong horse", PASSWORD):
        assert private not in text


@pytest.mark.parametrize(
    ("peer", "known_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_known_by_its_network(peer: str, known_as: Any) -> None:
    assert network(peer) == known_as
