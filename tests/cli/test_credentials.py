"""Secrets are made once, kept private, and filled up when there are new ones."""

import json
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from services.cli.credentials import Credentials
from services.cli.failures import Failure
from services.common.security import ALGORITHM, SIGNATURES


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = Credentials.at(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_mtime_ns
    assert Credentials.at(path) == made
    assert path.stat().st_mtime_ns == before
    assert Credentials.parse({}) != made


def test_a_new_neighbour_gets_tokens_and_the_old_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = Credentials.at(path)
    kept = json.loads(path.read_text())
    del kept["service_tokens"]["reports_api"]
    del kept["service_tokens"]["gateway"]["tagging_api"]
    path.write_text(json.dumps(kept))
    filled = Credentials.at(path)
    assert filled.index_key == made.index_key
    assert filled.service_tokens["tagging_api"] == made.service_tokens["tagging_api"]
    tokens = filled.service_tokens
    assert tokens["gateway"]["residents_api"] == made.service_tokens["gateway"]["residents_api"]
    assert tokens["gateway"]["tagging_api"] != made.service_tokens["gateway"]["tagging_api"]
    assert tokens["reports_api"]["residents_api"]
    assert Credentials.at(path) == filled


def test_the_fingerprint_changes_with_the_keys_and_with_nothing_else() -> None:
    one = Credentials.parse({})
    same_keys = {"encryption_keys": one.encryption_keys, "index_key": one.index_key}
    assert Credentials.parse(same_keys).fingerprint == one.fingerprint
    rotated = {**same_keys, "encryption_keys": {**one.encryption_keys, "2": "33" * 32}}
    assert Credentials.parse(rotated).fingerprint == one.fingerprint
    other_index = {**same_keys, "index_key": "22" * 32}
    assert Credentials.parse(other_index).fingerprint != one.fingerprint


def test_the_signing_key_signs() -> None:
    jwk = Credentials.parse({}).signing_key
    key = OKPKey.import_key(dict(jwk))
    token = jwt.encode(
        {"alg": ALGORITHM, "kid": jwk["kid"]}, {"sub": "x"}, key, registry=SIGNATURES
    )
    assert jwt.decode(token, key, registry=SIGNATURES).claims == {"sub": "x"}
    assert key.thumbprint() == jwk["kid"]


def test_nothing_is_shown_by_accident() -> None:
    credentials = Credentials.parse({})
    assert credentials.superuser not in repr(credentials)


@pytest.mark.parametrize("content", ["{", "[]x", '{"roles": 1}', '{"service_tokens": []}'])
def test_damaged_secrets_are_not_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(Failure, match="damaged"):
        Credentials.at(path)
    assert path.read_text() == content
