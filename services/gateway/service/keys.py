"""The keys that access tokens are signed with, and that everyone checks them by."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from services.common.security import ALGORITHM, SIGNATURES
from services.gateway.settings import Settings


class SigningKeys:
    """One private key signs; it and the retired ones are shown, as public keys."""

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError, without the key in its message, for one that cannot be used."""
        self._key = _private(settings.signing_key.get_secret_value())
        self._header = {"alg": ALGORITHM, "kid": self._key.kid}
        keys = [self._key, *(_public(key) for key in settings.retired_keys)]
        if len({key.kid for key in keys}) < len(keys):
            raise ValueError("Two of the gateway's keys have the same kid.")
        self.public: dict[str, Any] = {
            "keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in keys]
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(self._header, dict(claims), self._key, registry=SIGNATURES)

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """Lets the gateway check tokens as every service does, without asking itself by HTTP."""
        return _OwnKeys(self.public)


class _OwnKeys(httpx.AsyncBaseTransport):
    def __init__(self, public: dict[str, Any]) -> None:
        self._public = public

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - one answer for all
        return httpx.Response(200, json=self._public)


def _private(text: str) -> OKPKey:
    try:
        jwk = json.loads(text)
        key = OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "d", "kid")})
    except (ValueError, TypeError, KeyError, JoseError):
        raise ValueError("GATEWAY_SIGNING_KEY is not a JWK.") from None
    if not key.is_private or key.curve_name != "Ed25519" or not key.kid:
        raise ValueError("GATEWAY_SIGNING_KEY must be a private Ed25519 JWK with a kid.")
    return key


def _public(jwk: dict[str, str]) -> OKPKey:
    try:
        key = OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "kid")})
    except (ValueError, TypeError, KeyError, JoseError):
        raise ValueError("One of GATEWAY_RETIRED_KEYS is not a public JWK with a kid.") from None
    KeySet([key])
    return key
