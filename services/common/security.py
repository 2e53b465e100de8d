"""Who is calling. A service trusts nobody: it verifies every token itself.

Accounts and clients present a JWT signed by the gateway (EdDSA; keys from its JWKS, fetched when an
unknown key id turns up, so services start without the gateway, and again every minute, so that a
withdrawn key is no longer good). Neighbours present a service token on `/internal/*` and `/metrics`.
Verifying a signature costs about 70 us, so verified tokens are remembered by their hash for at most
a minute.
"""

import asyncio
import contextlib
import copy
import hashlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import structlog
from fastapi import Depends
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.requests import HTTPConnection, Request

from services.common.access import Permission, Role, granted
from services.common.areas import Area, Place, place_of
from services.common.clock import Clock
from services.common.problems import (
    AreaForbidden,
    RoleForbidden,
    TokenInvalid,
    TokenMissing,
    Unavailable,
)
from services.common.settings import SecuritySettings

log = structlog.get_logger(__name__)

ALGORITHM = "EdDSA"
# joserfc warns of this name, for RFC 9864 calls it Ed25519: most clients know only the older one.
_EDDSA = copy.copy(JWSRegistry.algorithms[ALGORITHM])
_EDDSA.security_warning = None
_REMEMBER_SECONDS = 60
_REMEMBER_TOKENS = 10_000
_REFETCH_KEYS_SECONDS = 2
_RETRY_KEYS_SECONDS = 1
_RENEW_KEYS_SECONDS = 60


class Signatures(JWSRegistry):
    """How tokens are signed here, and no other way."""

    algorithms = {ALGORITHM: _EDDSA}  # noqa: RUF012 - the library's own attribute


SIGNATURES = Signatures(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified account or client. `sub` names it in audit rows; `resident_id` ties it to a person.

    `session_id` is the sign-in that the token comes from; clients have none.
    """

    sub: str
    roles: frozenset[Role]
    areas: tuple[Area, ...]
    permissions: frozenset[Permission]
    client_id: str | None = None
    resident_id: UUID | None = None
    session_id: UUID | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def narrowed(self, area: str | None, *, village_code: str | None = None) -> tuple[Area, ...]:
        """The areas to list: the asked one if it lies within the caller's, or all of the caller's.

        Raises AreaForbidden for an area outside. For a compound, pass the village it belongs to.
        """
        if area is None:
            return self.areas
        asked = Area.parse(area)
        if not place_of(asked, village_code=village_code).within(self.areas):
            raise AreaForbidden()
        return (asked,)

    def sees(self, place: Place) -> bool:
        return place.within(self.areas)


def token_hash(token: str) -> str:
    """How a service token is known to those who accept it."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenVerifier:
    """Turns a bearer token into a Caller, or refuses."""

    def __init__(
        self, settings: SecuritySettings, *, clock: Clock, http: httpx.AsyncClient
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http
        self._keys: KeySet | None = None
        self._fetching = asyncio.Lock()
        self._fetched = self._failed = float("-inf")
        self._remembered: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock.now().timestamp()),
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    async def caller(self, connection: HTTPConnection) -> Caller:
        """Raises TokenMissing, TokenInvalid, or Unavailable while the keys cannot be fetched."""
        token = bearer(connection)
        digest = hashlib.sha256(token.encode()).digest()
        if (found := self._remembered.get(digest)) is not None and found[1] > self._now():
            return found[0]
        claims = await self._verified(token)
        caller = _caller(claims)
        self._remembered[digest] = (
            caller,
            min(float(claims["exp"]), self._now() + _REMEMBER_SECONDS),
        )
        if len(self._remembered) > _REMEMBER_TOKENS:
            self._remembered.popitem(last=False)
        return caller

    async def keep_fresh(self) -> None:
        """For ever: learn of withdrawn keys. Those known stay good while the gateway is away."""
        while True:
            await asyncio.sleep(_RENEW_KEYS_SECONDS)
            with contextlib.suppress(Unavailable):
                await self._fetch_keys()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _verified(self, token: str) -> dict[str, Any]:
        for attempt in ("known keys", "fresh keys"):
            if self._keys is None or attempt == "fresh keys":
                await self._fetch_keys()
            assert self._keys is not None
            try:
                decoded = jwt.decode(token, self._keys, registry=SIGNATURES)
                self._claims.validate(decoded.claims)
            except Exception as refused:  # noqa: BLE001 - a stranger wrote it: whatever it breaks
                # An unknown key id may mean that the gateway has a new key; anything else is final.
                if attempt == "known keys" and _key_is_unknown(refused):
                    continue
                raise TokenInvalid() from None
            return decoded.claims
        raise TokenInvalid()

    async def _fetch_keys(self) -> None:
        # Neither tokens with invented key ids nor a gateway that is away may turn into a stream of
        # requests to it: one asks for all, and what came of it holds for a while.
        async with self._fetching:
            now = time.monotonic()
            if now - self._fetched < _REFETCH_KEYS_SECONDS:
                return
            if now - self._failed < _RETRY_KEYS_SECONDS:
                raise Unavailable()
            try:
                answer = await self._http.get(self._settings.jwks_url)
                answer.raise_for_status()
                self._know(KeySet.import_key_set(answer.json()))
            except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as failed:
                log.warning("jwks.unavailable", error=type(failed).__name__)
                self._failed = time.monotonic()
                raise Unavailable() from None
            self._fetched = time.monotonic()

    def _know(self, keys: KeySet) -> None:
        if self._keys is not None and self._keys.as_dict() != keys.as_dict():
            self._remembered.clear()  # some of them may be signed with a key that is withdrawn
        self._keys = keys


def _key_is_unknown(refused: Exception) -> bool:
    return isinstance(refused, JoseError) and refused.error in {"invalid_key_id", "bad_signature"}


def _caller(claims: dict[str, Any]) -> Caller:
    try:
        roles = frozenset(Role(role) for role in claims.get("roles", ()))
        scope = str(claims.get("scope", "")).split()
        return Caller(
            sub=str(claims["sub"]),
            roles=roles,
            areas=tuple(Area.parse(area) for area in claims.get("areas", ())),
            # The table decides; a scope can only take away.
            permissions=frozenset(p for p in granted(roles) if p.value in scope),
            client_id=claims.get("client_id"),
            resident_id=UUID(claims["resident_id"]) if claims.get("resident_id") else None,
            session_id=UUID(claims["sid"]) if claims.get("sid") else None,
        )
    except (ValueError, TypeError, AttributeError):
        raise TokenInvalid() from None


def bearer(connection: HTTPConnection) -> str:
    """The bearer token of the Authorization header. Raises TokenMissing."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing()
    return token.strip()


def service_caller(connection: HTTPConnection, accepted: dict[str, str]) -> str:
    """The neighbour that presents a service token. Raises TokenMissing or TokenInvalid."""
    presented = token_hash(bearer(connection))
    for name, expected in accepted.items():
        if hmac.compare_digest(presented, expected):
            return name
    raise TokenInvalid()


class Requires:
    """A dependency that hands over the caller, whom the route has already let in.

    The check itself stands in `routing.UnitOfWorkRoute`: it runs before the body is read, and on
    every route, for a route without a permission does not start.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request) -> Caller:
        return current_caller(request)


def requires(permission: Permission) -> Any:
    """`caller: Annotated[Caller, requires(Permission.X)]`: the caller, if they may do X."""
    return Depends(Requires(permission))


def current_caller(request: Request) -> Caller:
    caller: Caller = request.scope["shequ.caller"]
    return caller


# For dependencies below the endpoint: whoever the route let in.
CurrentCaller = Annotated[Caller, Depends(current_caller)]


def check(caller: Caller, permission: Permission) -> None:
    """Raises RoleForbidden. For the rare route that needs a second permission for some input."""
    if not caller.may(permission):
        raise RoleForbidden()
