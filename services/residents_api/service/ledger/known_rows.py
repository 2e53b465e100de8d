"""Rows that a source has said before, word for word, are neither checked nor merged again.

Of each row that an import accepted without any remark, `ledger_source` keeps an entry: the keyed
hash of the row as it was read, the first bytes of the two keys by which its person is recognised,
and the version of the person that it left. With the next ledger of that source a row is known if its
entry is there and the person still has that version: then the whole merge would find nothing to do.

All rows of a person have to be looked at together. So two kinds of known rows are looked at all the
same: those whose person stands in a row that is not known, and those that stand there twice.
"""

import hashlib
import mmap
import tempfile
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from services.residents_api.domain.ledger import Record

DIGEST_BYTES = 16
PERSON_BYTES = 8
VERSION_BYTES = 4
# digest, person by number, person by name and birth date, version
ENTRY_BYTES = DIGEST_BYTES + 2 * PERSON_BYTES + VERSION_BYTES
# Another way of reading or checking rows makes another digest of them: then nothing is known.
_READING = 1


def digest(record: Record, *, key: bytes) -> bytes:
    """The keyed hash of what a row says, wherever it stands."""
    said = repr((_READING, record.place, tuple(record.cells.items())))
    return hashlib.blake2b(
        said.encode(errors="surrogatepass"),
        digest_size=DIGEST_BYTES,
        key=key,
        person=b"shequ.row",
    ).digest()


def pieces(packed: bytes, size: int) -> Iterator[bytes]:
    """What was written one after the other."""
    for start in range(0, len(packed), size):
        yield packed[start : start + size]


def still_so(entries: bytes, persons: bytes) -> set[bytes]:
    """Those of the entries whose persons (key and version each) are as they were."""
    now = set(pieces(persons, PERSON_BYTES + VERSION_BYTES))
    return {
        entry
        for entry in pieces(entries, ENTRY_BYTES)
        if entry[DIGEST_BYTES : DIGEST_BYTES + PERSON_BYTES] + entry[-VERSION_BYTES:] in now
    }


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Entries in a file, sorted, so that worker processes look into them without a copy each."""

    path: Path
    many: int

    def entry(self, of: bytes) -> bytes | None:
        """The entry of the row with this digest."""
        low, high, lies = 0, self.many, _mapped(self.path)
        while low < high:
            middle = (low + high) // 2
            start = middle * ENTRY_BYTES
            found = lies[start : start + DIGEST_BYTES]
            if found == of:
                return lies[start : start + ENTRY_BYTES]
            if found < of:
                low = middle + 1
            else:
                high = middle
        return None


@lru_cache(maxsize=4)
def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def known_rows(entries: Collection[bytes]) -> Generator[KnownRows | None]:
    """The entries, for as long as the block lasts; None if there are none."""
    if not entries:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="shequ-known-") as file:
        file.write(b"".join(sorted(entries)))
        file.flush()
        yield KnownRows(Path(file.name), len(entries))


@dataclass(slots=True)
class Overlap:
    """Finds the known rows that have to be looked at with others. Told chunk by chunk."""

    known: list[bytes] = field(default_factory=list[bytes])
    _others: set[bytes] = field(default_factory=set[bytes])

    def add(self, *, known: bytes, others: bytes) -> None:
        """Entries of known rows, and the keys of the persons of all others."""
        self.known.extend(pieces(known, ENTRY_BYTES))
        self._others.update(pieces(others, PERSON_BYTES))

    def entries(self) -> set[bytes]:
        """Entries of which the person stands in another row as well."""
        once, found = set[bytes](), set[bytes]()
        for entry in self.known:
            by_number = entry[DIGEST_BYTES : DIGEST_BYTES + PERSON_BYTES]
            by_name = entry[DIGEST_BYTES + PERSON_BYTES : -VERSION_BYTES]
            if entry in once or by_number in self._others or by_name in self._others:
                found.add(entry)
            once.add(entry)
        return found
