"""`/oauth/token`, and the documents by which others trust its tokens."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import problem_of
from services.common.routing import UnitOfWorkRoute, public
from services.gateway.domain import token_requests
from services.gateway.domain.token_requests import FORM, MAX_FORM_BYTES, GrantType, TokenRequest
from services.gateway.errors import GrantRefused, GrantRequestInvalid
from services.gateway.schemas.sign_in import (
    KeySetRead,
    ServerMetadata,
    TokenForm,
    TokenRead,
    TokenRefusal,
)
from services.gateway.service.grants import Grants
from services.gateway.service.keys import SigningKeys

_NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _form() -> dict[str, Any]:
    schema = TokenForm.model_json_schema(ref_template="#/components/schemas/{model}")
    grant = schema.pop("$defs")["GrantType"]
    schema["properties"]["grant_type"] = grant
    return {
        "requestBody": {"required": True, "content": {FORM: {"schema": schema}}},
        "security": [],
    }


# The plain route class: problem+json, which the other one declares and answers, is not spoken here.
tokens = APIRouter(tags=["sign-in"])


@tokens.post(
    "/oauth/token",
    openapi_extra=_form(),
    responses={
        200: {"model": TokenRead},
        400: {"model": TokenRefusal},
        401: {"model": TokenRefusal, "description": "The client could not prove itself."},
        429: {"model": TokenRefusal, "description": "Too many failures; see `Retry-After`."},
        503: {"model": TokenRefusal},
    },
)
@public
async def create_token(request: Request) -> Response:
    """Sign in: exchange a password, a client's secret or a refresh token for an access token.

    A refresh token is good once; presenting a used one ends the whole sign-in.
    """
    grants: Grants = request.state.grants
    try:
        issued = await grants.issue(await _read(request), peer=_peer(request))
    except GrantRefused as refused:
        return _refusal(refused.status, refused.error, refused.description, refused.headers)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is answered in this form
        problem = problem_of(raised, {})
        error = "server_error" if problem.status == 500 else "temporarily_unavailable"
        return _refusal(problem.status, error, problem.title.en, problem.headers)
    token = TokenRead(
        access_token=issued.access_token,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        scope=issued.scope,
    )
    return _json(token.model_dump_json(exclude_none=True), status=200)


async def _read(request: Request) -> TokenRequest:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise GrantRequestInvalid("The form is too large.")
    return token_requests.read(
        bytes(body),
        content_type=request.headers.get("content-type", ""),
        authorization=request.headers.get("authorization"),
    )


def _peer(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _refusal(status: int, error: str, description: str, headers: dict[str, str]) -> Response:
    body = TokenRefusal.model_validate({"error": error, "error_description": description})
    return _json(body.model_dump_json(), status=status, headers=headers)


def _json(body: str, *, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body,
        status_code=status,
        media_type="application/json",
        headers={**_NOT_STORED, **(headers or {})},
    )


documents = APIRouter(prefix="/.well-known", tags=["sign-in"], route_class=UnitOfWorkRoute)


@documents.get("/jwks.json")
@public
async def get_key_set(request: Request, response: Response) -> KeySetRead:
    """The public keys by which access tokens are checked."""
    keys: SigningKeys = request.state.keys
    response.headers["Cache-Control"] = "public, max-age=60"
    return KeySetRead.model_validate(keys.public)


@documents.get("/oauth-authorization-server")
@public
async def get_server_metadata(request: Request, response: Response) -> ServerMetadata:
    """Where tokens come from and how, for clients that configure themselves (RFC 8414)."""
    issuer: str = request.state.issuer
    response.headers["Cache-Control"] = "public, max-age=3600"
    base = issuer.rstrip("/")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{base}/oauth/token",
        jwks_uri=f"{base}/.well-known/jwks.json",
        response_types_supported=[],
        grant_types_supported=list(GrantType),
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
        scopes_supported=sorted(permission.value for permission in Permission),
    )
