"""Refresh tokens: good once, and a family that ends as one."""

import asyncio
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.gateway.models import Account, RefreshFamily, RefreshToken
from services.gateway.repository import sign_ins
from services.gateway.service import accounts
from tests.conftest import FixedClock
from tests.gateway.conftest import PASSWORD, SECRET, MakeAccount, SignIn
from tests.houses import App


@pytest.fixture
async def first(account: Account, sign_in: SignIn) -> str:
    return (await sign_in.password()).json()["refresh_token"]


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json().get("error")) == (400, "invalid_grant")


async def test_a_refresh_token_gives_the_next_one(
    gateway: App, first: str, sign_in: SignIn
) -> None:
    second = (await sign_in.refresh(first)).json()
    assert second["refresh_token"] != first
    assert (await gateway.client(second["access_token"]).get("/v1/me")).status_code == 200
    assert (await sign_in.refresh(second["refresh_token"])).status_code == 200


async def test_using_one_twice_ends_the_family(first: str, sign_in: SignIn) -> None:
    second = (await sign_in.refresh(first)).json()["refresh_token"]
    assert refused(await sign_in.refresh(first))
    # The end survives the refusal: whoever holds the good one, thief or owner, signs in anew.
    assert refused(await sign_in.refresh(second))


async def test_one_family_ends_and_no_other(first: str, sign_in: SignIn) -> None:
    elsewhere = (await sign_in.password()).json()["refresh_token"]
    await sign_in.refresh(first)
    assert refused(await sign_in.refresh(first))
    assert (await sign_in.refresh(elsewhere)).status_code == 200


async def test_of_many_at_once_one_is_served_and_the_family_ends(
    first: str, sign_in: SignIn
) -> None:
    answers = await asyncio.gather(*(sign_in.refresh(first) for _ in range(8)))
    served = [answer for answer in answers if answer.status_code == 200]
    assert len(served) == 1
    assert refused(await sign_in.refresh(served[0].json()["refresh_token"]))


async def test_it_expires(first: str, sign_in: SignIn, clock: FixedClock) -> None:
    clock.advance(timedelta(days=13))
    second = (await sign_in.refresh(first)).json()["refresh_token"]
    clock.advance(timedelta(days=14))
    assert refused(await sign_in.refresh(second))


async def test_it_is_kept_as_a_hash(gateway: App, first: str) -> None:
    async with gateway.state["sessions"].read() as session:
        kept = (await session.scalars(sa.select(RefreshToken.hash))).one()
    assert len(kept) == 32
    assert first.encode() not in kept


async def test_sign_out_ends_the_family(gateway: App, account: Account, sign_in: SignIn) -> None:
    issued = (await sign_in.password()).json()
    elsewhere = (await sign_in.password()).json()["refresh_token"]
    answer = await gateway.client(issued["access_token"]).post("/v1/sign-out")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert refused(await sign_in.refresh(issued["refresh_token"]))
    assert (await sign_in.refresh(elsewhere)).status_code == 200


async def test_sign_out_twice_is_no_error(gateway: App, account: Account, sign_in: SignIn) -> None:
    caller = gateway.client((await sign_in.password()).json()["access_token"])
    assert (await caller.post("/v1/sign-out")).status_code == 204
    assert (await caller.post("/v1/sign-out")).status_code == 204


async def test_sign_out_needs_a_token(gateway: App) -> None:
    answer = await gateway.client().post("/v1/sign-out")
    assert (answer.status_code, answer.json()["code"]) == (401, "token.missing")


async def test_a_client_has_nothing_to_sign_out_of(
    gateway: App, platform: str, sign_in: SignIn
) -> None:
    issued = await sign_in(grant_type="client_credentials", auth=(platform, quote(SECRET)))
    answer = await gateway.client(issued.json()["access_token"]).post("/v1/sign-out")
    assert answer.status_code == 204


async def test_a_narrowed_sign_in_stays_narrow(account: Account, sign_in: SignIn) -> None:
    narrow = (await sign_in.password(scope="reports.read tags.read")).json()["refresh_token"]
    narrower = (await sign_in.refresh(narrow, scope="reports.read")).json()
    assert narrower["scope"] == "reports.read"
    # RFC 6749 section 6: the refresh token keeps what the sign-in had.
    again = (await sign_in.refresh(narrower["refresh_token"])).json()
    assert again["scope"] == "reports.read tags.read"
    wider = await sign_in.refresh(again["refresh_token"], scope="residents.read")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    # A refusal for its scope uses nothing up.
    assert (await sign_in.refresh(again["refresh_token"])).status_code == 200


async def test_changed_roles_hold_from_the_next_refresh(
    gateway: App, first: str, sign_in: SignIn
) -> None:
    async with gateway.state["sessions"].write() as session:
        await session.execute(sa.update(Account).values(roles=[Role.AUDITOR]))
    refreshed = (await sign_in.refresh(first)).json()
    assert refreshed["scope"] == "accesses.read reference.read"


async def test_a_disabled_account_cannot_refresh(gateway: App, first: str, sign_in: SignIn) -> None:
    async with gateway.state["sessions"].write() as session:
        await session.execute(sa.update(Account).values(disabled_at=sa.func.now()))
    assert refused(await sign_in.refresh(first))


async def test_a_new_password_ends_all_sign_ins(
    gateway: App, account: Account, first: str, sign_in: SignIn
) -> None:
    async with gateway.state["sessions"].write() as session:
        found = await session.get(Account, account.id)
        await accounts.set_password(session, found, "battery staple")
    assert refused(await sign_in.refresh(first))
    assert refused(await sign_in.password())
    assert (await sign_in.password(password="battery staple")).status_code == 200


async def test_a_clients_refresh_token_is_no_one_elses(
    account: Account, platform: str, sign_in: SignIn
) -> None:
    auth = (platform, quote(SECRET))
    issued = await sign_in(grant_type="password", username="wang.li", password=PASSWORD, auth=auth)
    token = issued.json()["refresh_token"]
    assert refused(await sign_in.refresh(token))
    assert (await sign_in.refresh(token, auth=auth)).status_code == 200


async def test_the_sweep_drops_what_has_expired(
    gateway: App, make_account: MakeAccount, first: str, sign_in: SignIn, clock: FixedClock
) -> None:
    clock.advance(timedelta(days=10))
    await sign_in.password(password="wrong horse")
    later = (await sign_in.password()).json()["refresh_token"]
    clock.advance(timedelta(days=10))
    async with gateway.state["sessions"].write() as session:
        await sign_ins.sweep(session, now=clock.now(), failed_before=clock.now())
    async with gateway.state["sessions"].read() as session:
        assert len((await session.scalars(sa.select(RefreshToken))).all()) == 1
        assert len((await session.scalars(sa.select(RefreshFamily))).all()) == 1
    assert (await sign_in.refresh(later)).status_code == 200
