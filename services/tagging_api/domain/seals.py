"""Secrets at rest, and signatures by them.

Sealed: 12 bytes nonce, AES-256-GCM ciphertext and tag. The id of the row is associated data: a
ciphertext moved to another row does not open.
"""

import base64
import hashlib
import hmac
import os
import secrets
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"


class SealBroken(Exception):
    """A ciphertext that does not open: altered, moved, or sealed with another key."""


def seal(key: bytes, secret: str, *, of: UUID) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret.encode(), of.bytes)


def unseal(key: bytes, sealed: bytes, *, of: UUID) -> str:
    """Raises SealBroken."""
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, of.bytes).decode()
    except (InvalidTag, ValueError):
        raise SealBroken() from None


def new_secret() -> str:
    """A secret as Standard Webhooks writes one."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.digest(key, signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
