"""`/oauth/token`, as RFC 6749 has it, and the documents that tell of it."""

from typing import Literal

from pydantic import BaseModel, Field

from services.common.schemas import Schema
from services.gateway.domain.token_requests import GrantType


class TokenForm(Schema):
    """What a client sends, as a form. Clients may authenticate by HTTP Basic instead."""

    grant_type: GrantType
    username: str | None = Field(default=None, description="For the password grant.")
    password: str | None = Field(default=None, description="For the password grant.")
    refresh_token: str | None = Field(default=None, description="For the refresh_token grant.")
    client_id: str | None = Field(default=None, description="For the client_credentials grant.")
    client_secret: str | None = Field(default=None, description="With `client_id`.")
    scope: str | None = Field(
        default=None,
        description="Permissions, separated by spaces: to have fewer than all granted ones.",
    )


class TokenRead(Schema):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a type of token
    expires_in: int = Field(description="Seconds.", examples=[900])
    refresh_token: str | None = Field(
        default=None, description="Good once; absent for the client_credentials grant."
    )
    scope: str = Field(examples=["reports.create reports.read"])


class TokenRefusal(Schema):
    error: Literal[
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unsupported_grant_type",
        "invalid_scope",
        "temporarily_unavailable",
        "server_error",
    ]
    error_description: str


class KeySetRead(BaseModel):
    """A JWK Set (RFC 7517)."""

    keys: list[dict[str, str]]


class ServerMetadata(BaseModel):
    """RFC 8414."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: list[str]
    grant_types_supported: list[GrantType]
    token_endpoint_auth_methods_supported: list[str]
    scopes_supported: list[str]
