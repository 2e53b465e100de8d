"""The audit of reading, so that whoever can write to the database cannot quietly rewrite it.

Each record carries a keyed hash over all that it says, made by the service when it is written: who
has the database alone cannot make another, or change one. The sealer numbers records without a gap and
chains them, each hash over the one before; the last one is also kept outside of the database, which
tells of records that are gone from the end. See ADR-0010.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

START = bytes(32)
# The act by which a person was erased: what was said of them as a reason may be gone since.
ERASE = "erase"
GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says. `purpose` stands in it by its own keyed hash, so that it can be erased."""

    resident_id: UUID
    id: UUID
    at: datetime
    actor: str
    actor_areas: Sequence[str]
    act: str
    purpose: str = field(repr=False)
    fields: Sequence[str]
    outcome: str
    request_id: str


def purpose_mac(key: bytes, record_id: UUID, purpose: str) -> bytes:
    return _mac(key, ["purpose", str(record_id), purpose])


def mac(key: bytes, record: Record, purpose: bytes) -> bytes:
    """Over everything; the purpose by the hash that is kept of it."""
    return _mac(
        key,
        [
            "access",
            str(record.resident_id),
            str(record.id),
            record.at.astimezone(UTC).isoformat(timespec="microseconds"),
            record.actor,
            list(record.actor_areas),
            record.act,
            purpose.hex(),
            list(record.fields),
            record.outcome,
            record.request_id,
        ],
    )


def chained(previous: bytes, sequence: int, mac: bytes) -> bytes:
    """The hash of a record in the chain."""
    return hashlib.sha256(previous + sequence.to_bytes(8, "big") + mac).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain was at some time, as it is kept outside of the database."""

    sequence: int
    hash: str
    at: str

    def signed(self, key: bytes) -> str:
        """One line of the file of heads."""
        body = [self.sequence, self.hash, self.at]
        return json.dumps([*body, _mac(key, ["head", *body]).hex()])

    @classmethod
    def read(cls, key: bytes, line: str) -> "Head":
        """Raises ValueError for a line that was not signed with the key."""
        sequence, said, at, signature = json.loads(line)
        if not hmac.compare_digest(_mac(key, ["head", sequence, said, at]).hex(), str(signature)):
            raise ValueError("not signed with this key")
        return cls(int(sequence), str(said), str(at))


def _mac(key: bytes, said: Sequence[object]) -> bytes:
    message = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return hmac.digest(key, message, hashlib.sha256)
