"""Passwords and clients' secrets against access tokens."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import KeySet

from services.common.access import GRANTS, Role
from services.common.security import SIGNATURES
from services.gateway.models import Account
from tests.conftest import FixedClock
from tests.gateway.conftest import PASSWORD, SECRET, MakeAccount, SignIn
from tests.houses import ISSUER, App

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def claims_of(gateway: App, token: str) -> dict[str, Any]:
    keys = (await gateway.client().get("/.well-known/jwks.json")).json()
    return jwt.decode(token, KeySet.import_key_set(keys), registry=SIGNATURES).claims


async def test_a_password_opens_what_the_role_grants(
    gateway: App, account: Account, sign_in: SignIn, clock: FixedClock
) -> None:
    answer = await sign_in.password()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    claims = await claims_of(gateway, body["access_token"])
    now = int(clock.now().timestamp())
    assert claims.pop("jti")
    assert claims.pop("sid")
    assert claims == {
        "iss": ISSUER,
        "aud": "shequ",
        "sub": f"account:{account.id}",
        "roles": ["community_worker"],
        "areas": ["510182104006"],
        "scope": " ".join(sorted(GRANTS[Role.COMMUNITY_WORKER])),
        "client_id": None,
        "resident_id": None,
        "iat": now,
        "exp": now + 900,
    }
    assert body["scope"] == claims["scope"]


async def test_a_resident_is_tied_to_a_person(
    gateway: App, make_account: MakeAccount, sign_in: SignIn
) -> None:
    resident = await make_account("resident", roles=(Role.RESIDENT,), areas=())
    claims = await claims_of(gateway, (await sign_in.password("resident")).json()["access_token"])
    assert claims["resident_id"] == str(resident.resident_id)
    assert claims["areas"] == []


async def test_the_key_set_holds_no_private_part(gateway: App) -> None:
    answer = await gateway.client().get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    own, retired = answer.json()["keys"]
    assert own.keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (own["kid"], own["alg"], own["use"]) == ("gateway-1", "EdDSA", "sig")
    assert retired["kid"] == "test"


async def test_the_metadata_names_the_token_endpoint(gateway: App) -> None:
    answer = await gateway.client().get("/.well-known/oauth-authorization-server")
    metadata = answer.json()
    assert metadata["issuer"] == ISSUER
    assert metadata["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert metadata["grant_types_supported"] == ["password", "client_credentials", "refresh_token"]


async def test_a_wrong_password_and_an_unknown_name_are_told_alike(
    account: Account, sign_in: SignIn
) -> None:
    wrong = await sign_in.password(password="wrong horse")
    unknown = await sign_in.password("nobody")
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()
    assert wrong.json()["error"] == "invalid_grant"
    assert wrong.headers["cache-control"] == "no-store"
    assert wrong.headers["content-type"] == "application/json"


async def test_a_disabled_account_is_refused(
    gateway: App, account: Account, sign_in: SignIn
) -> None:
    async with gateway.state["sessions"].write() as session:
        await session.execute(sa.update(Account).values(disabled_at=sa.func.now()))
    assert (await sign_in.password()).json()["error"] == "invalid_grant"


async def test_scope_narrows(gateway: App, account: Account, sign_in: SignIn) -> None:
    answer = await sign_in.password(scope="reports.read residents.read")
    assert answer.json()["scope"] == "reports.read residents.read"
    worker = gateway.client(answer.json()["access_token"])
    assert (await worker.get("/v1/me")).status_code == 200
    refused = await worker.get("/v1/accounts")
    assert (refused.status_code, refused.json()["code"]) == (403, "role.forbidden")


@pytest.mark.parametrize("scope", ["accounts.write", "reports.read accounts.write", "everything"])
async def test_scope_does_not_widen(account: Account, sign_in: SignIn, scope: str) -> None:
    answer = await sign_in.password(scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_a_client_authenticates_in_either_way(
    gateway: App, platform: str, sign_in: SignIn
) -> None:
    basic = await sign_in(grant_type="client_credentials", auth=(platform, quote(SECRET)))
    post = await sign_in(grant_type="client_credentials", client_id=platform, client_secret=SECRET)
    for answer in (basic, post):
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()
        assert answer.json()["scope"] == "audiences.count reports.read"
        claims = await claims_of(gateway, answer.json()["access_token"])
        assert (claims["sub"], claims["client_id"]) == ("client:platform", "platform")
        assert (claims["roles"], claims["areas"], claims["sid"]) == (["client"], ["510182"], None)


async def test_a_client_may_ask_for_less(platform: str, sign_in: SignIn) -> None:
    answer = await sign_in(
        grant_type="client_credentials", scope="reports.read", auth=(platform, quote(SECRET))
    )
    assert answer.json()["scope"] == "reports.read"


@pytest.mark.parametrize(
    ("client_id", "secret"), [("platform", "wrong"), ("nobody", SECRET), ("platform", "")]
)
async def test_a_client_that_cannot_prove_itself(
    platform: str, sign_in: SignIn, client_id: str, secret: str
) -> None:
    answer = await sign_in(grant_type="client_credentials", auth=(client_id, quote(secret)))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"] == 'Basic realm="shequ"'


async def test_no_client_at_all(platform: str, sign_in: SignIn) -> None:
    answer = await sign_in(grant_type="client_credentials", client_id=platform)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_client_that_names_itself_falsely_gets_no_ones_token(
    account: Account, platform: str, sign_in: SignIn
) -> None:
    answer = await sign_in(
        grant_type="password", username="wang.li", password=PASSWORD, auth=(platform, "wrong")
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_swagger_sends_an_empty_client(account: Account, sign_in: SignIn) -> None:
    answer = await sign_in(
        grant_type="password", username="wang.li", password=PASSWORD, auth=("", "")
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"username=wang.li&password=x", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"grant_type=implicit", "unsupported_grant_type"),
        (b"grant_type=password", "invalid_request"),
        (b"grant_type=password&username=wang.li", "invalid_request"),
        (b"grant_type=password&username=&password=x", "invalid_request"),
        (b"grant_type=refresh_token", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=made-up", "invalid_grant"),
        (b"grant_type=password&grant_type=password&username=a&password=b", "invalid_request"),
        (b"grant_type=password&username=a%00b&password=c", "invalid_request"),
        (b"grant_type=password&username=a&password=c%00", "invalid_request"),
        (b"grant_type=password&username=%ff&password=c", "invalid_request"),
        (b"grant_type=password&username=\xff&password=c", "invalid_request"),
        (b"grant_type=password&username=a&password=" + b"x" * 20_000, "invalid_request"),
        (b"grant_type=password&" + b"&".join(b"f%d=1" % n for n in range(40)), "invalid_request"),
        (b'{"grant_type": "password"}', "invalid_request"),
        (b"grant_type=password&username=%ED%A0%80&password=c", "invalid_request"),
    ],
)
async def test_a_bad_form_is_refused_as_rfc_6749_says(
    gateway: App, body: bytes, error: str
) -> None:
    answer = await gateway.client().post("/oauth/token", content=body, headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
async def test_another_content_type_is_refused(gateway: App, content_type: str) -> None:
    answer = await gateway.client().post(
        "/oauth/token",
        content=json.dumps({"grant_type": "password"}),
        headers={"Content-Type": content_type},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_body_beyond_all_limits_is_refused_in_the_same_form(gateway: App) -> None:
    answer = await gateway.client().post(
        "/oauth/token", content=b"a=" + b"x" * (2 * 1024 * 1024), headers=FORM
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("encoded", ["!", base64.b64encode(b"no colon").decode(), "AAA6", "/w=="])
async def test_broken_basic_credentials(gateway: App, encoded: str) -> None:
    answer = await gateway.client().post(
        "/oauth/token",
        content=b"grant_type=client_credentials",
        headers={**FORM, "Authorization": f"Basic {encoded}"},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_two_ways_to_authenticate_at_once(platform: str, sign_in: SignIn) -> None:
    answer = await sign_in(
        grant_type="client_credentials",
        client_id=platform,
        client_secret=SECRET,
        auth=(platform, quote(SECRET)),
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_get_is_not_for_tokens(gateway: App) -> None:
    answer = await gateway.client().get("/oauth/token")
    assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")
    assert answer.headers["allow"] == "OPTIONS, POST"


async def test_a_token_dies_in_time(
    gateway: App, account: Account, sign_in: SignIn, clock: FixedClock
) -> None:
    token = (await sign_in.password()).json()["access_token"]
    assert (await gateway.client(token).get("/v1/me")).status_code == 200
    clock.advance(timedelta(seconds=901))
    refused = await gateway.client(token).get("/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "token.invalid")


async def test_a_lost_database_is_told_in_the_same_form(
    gateway: App, account: Account, sign_in: SignIn
) -> None:
    async with gateway.state["sessions"].write() as session:
        await session.execute(sa.text("ALTER TABLE account RENAME TO gone"))
    answer = await sign_in.password()
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
