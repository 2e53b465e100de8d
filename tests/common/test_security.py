"""Which tokens a service believes."""

import asyncio
import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry
from starlette.requests import HTTPConnection

from services.common import security
from services.common.access import Permission, Role
from services.common.areas import Area
from services.common.problems import Problem
from services.common.security import Caller, Signatures, TokenVerifier
from tests.conftest import FixedClock
from tests.houses import ISSUER, Identity

_NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


class Keys:
    """The gateway's key document, as it answers just now."""

    def __init__(self, *keys: OKPKey) -> None:
        # What it says before it recovers; nothing at all for None.
        self.answers: list[dict[str, Any] | None] = []
        self.keys = list(keys)
        self.asked = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.answers:
            if (answer := self.answers.pop(0)) is None:
                raise httpx.ConnectError("connection refused", request=request)
            return httpx.Response(**{"status_code": 200, **answer})
        return httpx.Response(200, json=KeySet(list(self.keys)).as_dict(private=False))


def key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": "EdDSA"})


@pytest.fixture
def own_key() -> OKPKey:
    return key("one")


@pytest.fixture
def keys(own_key: OKPKey) -> Keys:
    return Keys(own_key)


@pytest.fixture
async def verifier(keys: Keys, identity: Identity, clock: FixedClock) -> Any:
    async with httpx.AsyncClient(transport=httpx.MockTransport(keys)) as client:
        yield TokenVerifier(identity.security, clock=clock, http=client)


def claims(clock: FixedClock, **changed: Any) -> dict[str, Any]:
    everything = {
        "iss": ISSUER,
        "aud": "shequ",
        "sub": "account:1",
        "roles": ["community_worker"],
        "areas": ["510182104006"],
        "scope": "residents.read residents.write reports.read",
        "client_id": None,
        "resident_id": None,
        "jti": uuid4().hex,
        "exp": int(clock.now().timestamp()) + 600,
        **changed,
    }
    return {name: value for name, value in everything.items() if value != "absent"}


# For what a stranger may sign with; the name EdDSA alone makes the library warn.
class _Anyhow(JWSRegistry):
    algorithms = {**JWSRegistry.algorithms, **Signatures.algorithms}  # noqa: RUF012 - as the library


_ANYHOW = _Anyhow(algorithms=["EdDSA", "HS256"])


def signed(body: Any, by: Any, **header: Any) -> str:
    return jwt.encode({"alg": "EdDSA", "kid": "one", **header}, body, by, registry=_ANYHOW)


def presented(token: str) -> HTTPConnection:
    scope = {"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode("latin-1"))]}
    return HTTPConnection(scope)


async def verdict(verifier: TokenVerifier, token: str) -> Caller | str:
    try:
        return await verifier.caller(presented(token))
    except Problem as refused:
        return refused.code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_good_token_names_its_caller(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock
) -> None:
    resident, session = uuid4(), uuid4()
    token = signed(claims(clock, resident_id=str(resident), sid=str(session)), own_key)
    assert await verdict(verifier, token) == Caller(
        sub="account:1",
        roles=frozenset({Role.COMMUNITY_WORKER}),
        areas=(Area.parse("510182104006"),),
        permissions=frozenset(
            {Permission.RESIDENTS_READ, Permission.RESIDENTS_WRITE, Permission.REPORTS_READ}
        ),
        client_id=None,
        resident_id=resident,
        session_id=session,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://somebody.test"},
        {"iss": "absent"},
        {"iss": None},
        {"aud": "others"},
        {"aud": ["others"]},
        {"aud": "absent"},
        {"sub": "absent"},
        {"exp": "absent"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1},
        {"exp": -1},
        {"exp": True},
        {"exp": {}},
        {"nbf": 9_999_999_999},
        {"roles": ["mayor"]},
        {"roles": ["community_worker", "mayor"]},
        {"roles": "admin"},
        {"roles": 1},
        {"roles": None},
        {"roles": [None]},
        {"roles": [["admin"]]},
        {"areas": ["5"]},
        {"areas": [51]},
        {"areas": [None]},
        {"areas": "51"},
        {"areas": 51},
        {"resident_id": "x"},
        {"resident_id": 1},
        {"sid": 1},
    ],
)
async def test_claims_that_do_not_do(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock, changed: dict[str, Any]
) -> None:
    assert await verdict(verifier, signed(claims(clock, **changed), own_key)) == "token.invalid"


async def test_several_audiences_may_contain_ours(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock
) -> None:
    token = signed(claims(clock, aud=["others", "shequ"]), own_key)
    assert isinstance(await verdict(verifier, token), Caller)


async def test_signatures_that_are_none(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock
) -> None:
    good = signed(claims(clock), own_key)
    header, body, signature = good.split(".")
    assert isinstance(await verdict(verifier, good), Caller)

    def head(**values: Any) -> str:
        return b64(json.dumps({"kid": "one", **values}).encode())

    def under(secret: bytes) -> str:
        """As a verifier that takes any algorithm would accept it: keyed by what everybody knows."""
        signing = f"{head(alg='HS256')}.{body}"
        return f"{signing}.{b64(hmac.digest(secret, signing.encode(), 'sha256'))}"

    public = own_key.as_dict(private=False)["x"]
    assert isinstance(public, str)
    with_public = [
        under(base64.urlsafe_b64decode(public + "=")),
        under(own_key.as_pem(private=False)),
        under(public.encode()),
    ]
    inserted = signed(claims(clock, sub="account:2"), key("one"))
    other = b64(json.dumps(claims(clock, roles=["admin"])).encode())
    for token in (
        f"{head(alg='none')}.{body}.",
        f"{head(alg='none')}.{body}.{signature}",
        f"{head(alg='NONE')}.{body}.",
        f"{head(alg='HS256')}.{body}.{signature}",
        *with_public,
        inserted,
        f"{header}.{other}.{signature}",
        f"{header}.{body}.",
        f"{header}.{body}",
        f"{header}.{body}.{signature}.{signature}",
        f"{header}.{body}.{signature[:-2]}",
        f"{header}.{body}.{b64(bytes(64))}",
        f"{head(alg='EdDSA', jwk=key('one').as_dict(private=False))}.{body}.{signature}",
        signed(claims(clock), key("one"), jwk=key("one").as_dict(private=False)),
        f"{head(alg='EdDSA', crit=['exp'])}.{body}.{signature}",
        f"{head()}.{body}.{signature}",
        good.replace(".", ".."),
        ".".join(reversed(good.split("."))),
    ):
        assert await verdict(verifier, token) == "token.invalid", token


hostile_header = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "cty", "zip"]),
        st.none() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
        | st.sampled_from(["EdDSA", "one", "none", "HS256", "Ed25519"]),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(header=hostile_header, body=st.binary(max_size=30), signature=st.binary(max_size=70))
async def test_no_token_is_the_servers_fault(header: bytes, body: bytes, signature: bytes) -> None:
    own = key("one")
    clock = FixedClock(_NOON)
    async with httpx.AsyncClient(transport=httpx.MockTransport(Keys(own))) as client:
        verifier = TokenVerifier(Identity(clock).security, clock=clock, http=client)
        token = f"{b64(header)}.{b64(body)}.{b64(signature)}"
        assert await verdict(verifier, token) == "token.invalid"


@pytest.mark.parametrize(
    "header",
    [b"[" * 40_000, b'{"a":' * 8_000, b'{"alg": ' + b"9" * 5_000 + b"}", b"\xff\xfe", b"null",
     b'"EdDSA"', b"[]", b'{"alg": "EdDSA", "kid": ["one"]}', b'{"alg": "\\ud800"}', b""],
)  # fmt: skip
async def test_headers_that_are_meant_to_break_something(
    verifier: TokenVerifier, header: bytes
) -> None:
    token = f"{b64(header)}.{b64(b'{}')}.{b64(bytes(64))}"
    assert await verdict(verifier, token) == "token.invalid"


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"1", b'"x"', b"", b"\xff", b"{", b"[" * 20_000, b"{}"]
)
async def test_signed_bodies_that_are_no_claims(
    verifier: TokenVerifier, own_key: OKPKey, body: bytes
) -> None:
    header = b'{"alg": "EdDSA", "kid": "one"}'
    signing = f"{b64(header)}.{b64(body)}"
    signature = own_key.get_op_key("sign").sign(signing.encode())
    assert await verdict(verifier, f"{signing}.{b64(signature)}") == "token.invalid"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [(None, "token.missing"), ("", "token.missing"), ("Bearer", "token.missing"),
     ("Bearer ", "token.missing"), ("Basic YTpi", "token.missing"), ("a.b.c", "token.missing"),
     ("bearer x", "token.invalid"), ("BEARER  x", "token.invalid"), ("Bearer a b", "token.invalid"),
     ("Bearer \xe9\xff", "token.invalid"), ("Bearer " + "x" * 60_000, "token.invalid")],
)  # fmt: skip
async def test_what_stands_in_the_authorization_header(
    verifier: TokenVerifier, authorization: str | None, code: str
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    with pytest.raises(Problem) as refused:
        await verifier.caller(HTTPConnection({"type": "http", "headers": headers}))
    assert refused.value.code == code
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_token_ends_when_it_says(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock
) -> None:
    token = signed(claims(clock, exp=int(clock.now().timestamp()) + 20), own_key)
    assert isinstance(await verdict(verifier, token), Caller)
    clock.advance(timedelta(seconds=19))
    assert isinstance(await verdict(verifier, token), Caller)
    # Remembered or not.
    clock.advance(timedelta(seconds=2))
    assert await verdict(verifier, token) == "token.invalid"


async def test_a_token_is_remembered_for_a_minute_at_most(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    token = signed(claims(clock), own_key)
    assert isinstance(await verdict(verifier, token), Caller)
    # So that its signature is not good a second time.
    verifier._keys = KeySet([key("two")])  # noqa: SLF001
    clock.advance(timedelta(seconds=59))
    assert isinstance(await verdict(verifier, token), Caller)
    clock.advance(timedelta(seconds=2))
    assert await verdict(verifier, token) == "token.invalid"


async def test_no_more_tokens_are_remembered_than_there_is_room_for(
    verifier: TokenVerifier, own_key: OKPKey, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "_REMEMBER_TOKENS", 3)
    for _ in range(10):
        assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)
    assert len(verifier._remembered) == 3  # noqa: SLF001


async def test_a_new_key_is_fetched_when_it_turns_up(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)
    new = key("two")
    keys.keys.append(new)
    verifier._fetched = float("-inf")  # noqa: SLF001 - as if seconds had passed
    assert isinstance(await verdict(verifier, signed(claims(clock), new, kid="two")), Caller)
    assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)
    assert keys.asked == 2


async def test_a_withdrawn_key_is_good_no_longer(
    verifier: TokenVerifier,
    own_key: OKPKey,
    keys: Keys,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = key("two")
    keys.keys.append(new)
    old_token = signed(claims(clock), own_key)
    new_token = signed(claims(clock), new, kid="two")
    assert isinstance(await verdict(verifier, old_token), Caller)
    monkeypatch.setattr(security, "_RENEW_KEYS_SECONDS", 0.001)
    monkeypatch.setattr(security, "_REFETCH_KEYS_SECONDS", 0)
    monkeypatch.setattr(security, "_RETRY_KEYS_SECONDS", 0)
    keys.keys.remove(own_key)
    # It is away for a while: what was good stays good.
    keys.answers = [None, {"status_code": 500}, {"text": "<html>"}]
    renewing = asyncio.create_task(verifier.keep_fresh())
    try:
        asked = keys.asked
        while keys.asked < asked + 3:
            await asyncio.sleep(0.001)
        assert isinstance(await verdict(verifier, old_token), Caller)
        while keys.asked < asked + 5:
            await asyncio.sleep(0.001)
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
    # Also where it was remembered.
    assert await verdict(verifier, old_token) == "token.invalid"
    assert isinstance(await verdict(verifier, new_token), Caller)


async def test_the_same_keys_again_change_nothing(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    token = signed(claims(clock), own_key)
    before = await verdict(verifier, token)
    verifier._fetched = float("-inf")  # noqa: SLF001 - as if seconds had passed
    await verdict(verifier, signed(claims(clock), key("new"), kid="new"))
    assert keys.asked == 2
    assert await verdict(verifier, token) is before


async def test_invented_key_ids_do_not_ask_for_keys_again_and_again(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    tokens = [signed(claims(clock), key(f"k{n}"), kid=f"k{n}") for n in range(20)]
    verdicts = await asyncio.gather(*(verdict(verifier, token) for token in tokens))
    assert set(verdicts) == {"token.invalid"}
    assert keys.asked <= 2
    assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)


@pytest.mark.parametrize(
    "answer",
    [None, {"status_code": 500}, {"status_code": 404}, {"status_code": 302},
     {"text": "<html>"}, {"json": []}, {"json": {}}, {"json": {"keys": [{"kty": "none"}]}},
     {"json": {"keys": 1}}, {"json": None}, {"json": {"keys": [1]}}, {"json": {"keys": []}}],
)  # fmt: skip
async def test_without_keys_nobody_is_refused_for_good(
    verifier: TokenVerifier,
    own_key: OKPKey,
    keys: Keys,
    clock: FixedClock,
    answer: dict[str, Any] | None,
) -> None:
    keys.answers = [answer]
    token = signed(claims(clock), own_key)
    assert await verdict(verifier, token) == "service.unavailable"
    verifier._failed = float("-inf")  # noqa: SLF001 - as if a second had passed
    assert isinstance(await verdict(verifier, token), Caller)


async def test_a_gateway_that_is_away_is_not_asked_by_every_request(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    keys.answers = [None] * 100
    tokens = [signed(claims(clock), own_key) for _ in range(30)]
    for _ in range(2):
        verdicts = await asyncio.gather(*(verdict(verifier, token) for token in tokens))
        assert set(verdicts) == {"service.unavailable"}
    assert keys.asked == 1


async def test_known_keys_go_on_working_while_the_gateway_is_away(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)
    keys.answers = [None] * 100
    verifier._fetched = float("-inf")  # noqa: SLF001 - as if seconds had passed
    for n in range(5):
        unknown = signed(claims(clock), key(f"k{n}"), kid=f"k{n}")
        assert await verdict(verifier, unknown) == "service.unavailable"
        assert isinstance(await verdict(verifier, signed(claims(clock), own_key)), Caller)
    assert keys.asked <= 2


async def test_a_start_under_load_fetches_the_keys_once(
    verifier: TokenVerifier, own_key: OKPKey, keys: Keys, clock: FixedClock
) -> None:
    tokens = [signed(claims(clock), own_key) for _ in range(20)]
    verdicts = await asyncio.gather(*(verdict(verifier, token) for token in tokens))
    assert all(isinstance(each, Caller) for each in verdicts)
    assert keys.asked == 1
