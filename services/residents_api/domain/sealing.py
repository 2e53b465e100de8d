"""Identity numbers and phones at rest: encrypted in the column, found by a keyed hash.

Sealed: one byte key id, 12 bytes nonce, AES-256-GCM ciphertext and tag. The associated data is table,
column and the blind index of the row, so a ciphertext moved to another row or column does not open
(ADR-0005 says why the blind index and not the resident's id). The highest key id seals; all open.

Blind index: the first 16 bytes of HMAC-SHA256 over the kind and the normalised value.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
BLIND_INDEX_BYTES = 16
STATEMENT_BYTES = 8

NUMBER = "identity_document.number"
PHONE = "phone.number"
CONTACT_PHONE = "compound_contact.phone"
GUARDIAN_CONTACT = "guardian.contact"
WANTED_CHANGE = "change_request.wanted"


class SealBroken(Exception):
    """A ciphertext that does not open: altered, moved, or sealed with a key that is gone."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals, opens and indexes. Picklable, so that worker processes can be given one."""

    keys: Mapping[int, bytes] = field(repr=False)
    index_key: bytes = field(repr=False)

    @property
    def audit_key(self) -> bytes:
        """What signs records of reading: made from the index key, and of no use in its place."""
        return hmac.digest(self.index_key, b"shequ.audit", hashlib.sha256)

    def blind_index(self, column: str, value: str) -> bytes:
        """The keyed hash of a normalised value; the same value of another column differs."""
        message = f"{column}|{value}".encode()
        return hmac.digest(self.index_key, message, hashlib.sha256)[:BLIND_INDEX_BYTES]

    def statement(self, field_name: str, value: str) -> bytes:
        """The keyed hash of what a source said of one field: BLAKE2b, a third of HMAC's cost."""
        return hashlib.blake2b(
            f"{field_name}|{value}".encode(),
            digest_size=STATEMENT_BYTES,
            key=self.index_key,
            person=b"shequ.statement",
        ).digest()

    def seal(self, column: str, value: str, *, blind_index: bytes) -> bytes:
        return self.seal_bytes(column, value.encode(), blind_index=blind_index)

    def open(self, column: str, sealed: bytes, *, blind_index: bytes) -> str:
        """Raises SealBroken."""
        return self.open_bytes(column, sealed, blind_index=blind_index).decode()

    def seal_bytes(self, column: str, value: bytes, *, blind_index: bytes) -> bytes:
        key_id = max(self.keys)
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.keys[key_id]).encrypt(nonce, value, column.encode() + blind_index)
        return bytes([key_id]) + nonce + sealed

    def open_bytes(self, column: str, sealed: bytes, *, blind_index: bytes) -> bytes:
        """Raises SealBroken."""
        try:
            key = self.keys[sealed[0]]
            nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            return AESGCM(key).decrypt(nonce, ciphertext, column.encode() + blind_index)
        except (KeyError, IndexError, ValueError, InvalidTag):
            raise SealBroken(column) from None
