"""The gateway, open on a database of its own, and its sign-in from a client's side."""

import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from services.common.access import Permission, Role
from services.common.settings import DatabaseSettings
from services.gateway.main import create_app
from services.gateway.models import Account
from services.gateway.service import accounts
from services.gateway.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity, opened

PASSWORD = "correct horse"
SECRET = "a-client's-own-secret"


@pytest.fixture(scope="session")
def signing_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "gateway-1"})


@pytest.fixture(scope="session")
def forwarding(signing_key: OKPKey) -> Settings:
    """Settings for what needs no database: it is not there."""
    return Settings(
        database=DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/none")),
        security=Identity().security,
        signing_key=SecretStr(json.dumps(signing_key.as_dict(private=True))),
        upstreams={},
    )


@pytest.fixture
async def settings(db: Database, identity: Identity, forwarding: Settings) -> Settings:
    async with httpx.AsyncClient(transport=identity.transport) as client:
        keys = (await client.get("http://keys.test")).json()["keys"]
    return forwarding.model_copy(
        update={
            "database": DatabaseSettings(url=SecretStr(db.urls["gateway"]), pool_size=4),
            # So that tokens which the tests sign for themselves are good here, too.
            "retired_keys": [
                {name: key[name] for name in ("kty", "crv", "x", "kid")} for key in keys
            ],
        }
    )


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is logged from now on. Asked for before a service that is to start, or after."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)  # for who starts now
    monkeypatch.setattr("services.common.telemetry._lines.stream", written)
    return written


@pytest.fixture
async def gateway(settings: Settings, identity: Identity, clock: FixedClock) -> AsyncGenerator[App]:
    async with opened(create_app(settings, clock=clock), identity) as open_app:
        yield open_app


MakeAccount = Callable[..., Awaitable[Account]]


@pytest.fixture
def make_account(gateway: App) -> MakeAccount:
    async def make(
        name: str = "wang.li",
        *,
        roles: tuple[Role, ...] = (Role.COMMUNITY_WORKER,),
        areas: tuple[str, ...] = ("510182104006",),
        resident_id: UUID | None = None,
    ) -> Account:
        if Role.RESIDENT in roles:
            resident_id = resident_id or uuid4()
        async with gateway.state["sessions"].write() as session:
            return await accounts.create_account(
                session,
                name=name,
                password=PASSWORD,
                roles=roles,
                areas=areas,
                resident_id=resident_id,
            )

    return make


@pytest.fixture
async def account(make_account: MakeAccount) -> Account:
    return await make_account()


@pytest.fixture
async def platform(gateway: App) -> str:
    """A client that may count audiences and read reports."""
    async with gateway.state["sessions"].write() as session:
        client = await accounts.create_client(
            session,
            client_id="platform",
            secret=SECRET,
            name="城市平台",
            scopes=(Permission.AUDIENCES_COUNT, Permission.REPORTS_READ),
            areas=("510182",),
        )
    return client.client_id


class SignIn:
    """`POST /oauth/token`."""

    def __init__(self, gateway: App) -> None:
        self._client = gateway.client()

    async def __call__(self, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
        return await self._client.post("/oauth/token", data=form, auth=auth)

    async def password(self, name: str = "wang.li", password: str = PASSWORD, **form: str) -> Any:
        return await self(grant_type="password", username=name, password=password, **form)

    async def refresh(self, token: str, **form: Any) -> httpx.Response:
        return await self(grant_type="refresh_token", refresh_token=token, **form)


@pytest.fixture
def sign_in(gateway: App) -> SignIn:
    return SignIn(gateway)
