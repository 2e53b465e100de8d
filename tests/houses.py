"""Open a service's real app in the test's own loop, and call it as somebody."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.access import Role, granted
from services.common.clock import Clock, SystemClock
from services.common.security import ALGORITHM, SIGNATURES, token_hash
from services.common.settings import SecuritySettings

ISSUER = "http://gateway.test"
SERVICE_TOKEN = "a-neighbour-in-tests"


class Identity:
    """Signs tokens as the gateway does, and serves the keys to check them with."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._key = OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig", "alg": ALGORITHM})

    @property
    def security(self) -> SecuritySettings:
        return SecuritySettings(
            issuer=ISSUER,
            jwks_url=f"{ISSUER}/.well-known/jwks.json",
            service_tokens={"neighbour": token_hash(SERVICE_TOKEN)},
        )

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        keys = KeySet([self._key]).as_dict(private=False)
        return httpx.MockTransport(lambda _: httpx.Response(200, json=keys))

    def token(
        self,
        *roles: Role,
        areas: Sequence[str] = ("510182",),
        scope: str | None = None,
        resident_id: UUID | None = None,
        sub: str = "account:test",
        **claims: Any,
    ) -> str:
        now = int(self._clock.now().timestamp())
        everything = " ".join(sorted(p.value for p in granted(frozenset(roles))))
        body = {
            "iss": ISSUER,
            "aud": "shequ",
            "sub": sub,
            "roles": [role.value for role in roles],
            "areas": list(areas),
            "scope": everything if scope is None else scope,
            "client_id": None,
            "resident_id": str(resident_id) if resident_id else None,
            "jti": uuid4().hex,
            "exp": now + 600,
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": "test"}, body, self._key, registry=SIGNATURES)


class KeysAndFeed(httpx.AsyncBaseTransport):
    """The gateway: its keys, and its feed."""

    def __init__(self, keys: httpx.AsyncBaseTransport, feed: httpx.AsyncBaseTransport) -> None:
        self._keys = keys
        self._feed = feed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        inside = request.url.path.startswith("/internal/")
        return await (self._feed if inside else self._keys).handle_async_request(request)


class App:
    """An open app: clients for callers, and the app as a transport for its neighbours."""

    def __init__(
        self, asgi: ASGIApp, app: FastAPI, state: dict[str, Any], identity: Identity
    ) -> None:
        self.transport = httpx.ASGITransport(asgi, raise_app_exceptions=False)
        self.app = app
        self.state = state
        self._identity = identity

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            transport=self.transport, base_url="http://service.test", headers=headers
        )

    def as_role(self, role: Role, *areas: str, **claims: Any) -> httpx.AsyncClient:
        """A client signed in with one role, by default responsible for the whole city."""
        return self.client(self._identity.token(role, areas=areas or ("510182",), **claims))

    def as_service(self) -> httpx.AsyncClient:
        return self.client(SERVICE_TOKEN)


@asynccontextmanager
async def opened(app: FastAPI, identity: Identity) -> AsyncGenerator[App]:
    """Run the app's own lifespan: ASGITransport does not."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = dict(state or {})
            await app(scope, receive, send)

        yield App(with_state, app, dict(state or {}), identity)
