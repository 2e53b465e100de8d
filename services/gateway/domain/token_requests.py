"""Reading what is sent to `/oauth/token`: RFC 6749 sections 2.3.1, 3.2 and 4."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote_plus

from services.gateway.errors import ClientInvalid, GrantRequestInvalid, GrantUnsupported

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 16 * 1024
_MAX_FIELDS = 20


class GrantType(StrEnum):
    PASSWORD = "password"  # noqa: S105 - the name of a grant
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a grant


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request for a token. `scope` is None if nothing narrower was asked for."""

    grant_type: GrantType
    client: ClientCredentials | None
    scope: frozenset[str] | None
    fields: Mapping[str, str] = field(repr=False)

    def required(self, name: str) -> str:
        """Raises GrantRequestInvalid if the field is missing."""
        if name not in self.fields:
            raise GrantRequestInvalid(f"{name} is missing.")
        return self.fields[name]


def read(body: bytes, *, content_type: str, authorization: str | None) -> TokenRequest:
    """Raises GrantRequestInvalid, GrantUnsupported or ClientInvalid."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise GrantRequestInvalid(f"The body must be {FORM}.")
    fields = _fields(body)
    if "grant_type" not in fields:
        raise GrantRequestInvalid("grant_type is missing.")
    try:
        grant_type = GrantType(fields["grant_type"])
    except ValueError:
        raise GrantUnsupported() from None
    scope = frozenset(fields.get("scope", "").split())
    return TokenRequest(
        grant_type=grant_type,
        client=_client(fields, authorization),
        scope=scope or None,
        fields=fields,
    )


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise GrantRequestInvalid("The form could not be read.") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise GrantRequestInvalid("A field was sent more than once.")
        if "\0" in value:
            raise GrantRequestInvalid("A field holds a NUL character.")
        fields[name] = value
    # A field without a value counts as not sent (RFC 6749 section 3.2).
    return {name: value for name, value in fields.items() if value}


def _client(fields: Mapping[str, str], authorization: str | None) -> ClientCredentials | None:
    basic = _basic(authorization)
    if basic is not None and "client_secret" in fields:
        raise GrantRequestInvalid("The client authenticated in two ways.")
    if basic is not None:
        return basic
    # A client id without a secret proves nothing: such a client is as good as unnamed.
    if "client_id" in fields and "client_secret" in fields:
        return ClientCredentials(fields["client_id"], fields["client_secret"])
    return None


def _basic(authorization: str | None) -> ClientCredentials | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ClientInvalid() from None
    client_id, colon, secret = decoded.partition(":")
    if not colon or "\0" in decoded:
        raise ClientInvalid()
    # Swagger UI sends an empty pair when nobody filled in a client.
    if not client_id and not secret:
        return None
    return ClientCredentials(unquote_plus(client_id), unquote_plus(secret))
