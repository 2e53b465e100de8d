"""The chain of records of reading: made in the background, never in a request, and verified."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from uuid import UUID

import structlog

from services.common.clock import Clock
from services.common.database import UNREACHABLE, ReadSession, Sessions
from services.residents_api.domain import audit
from services.residents_api.domain.audit import Head
from services.residents_api.domain.sealing import Sealer
from services.residents_api.models import AccessRecord
from services.residents_api.repository import accesses as repository
from services.residents_api.service import accesses

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_AT_ONCE = 1_000
_READ_AT_ONCE = 5_000


class Heads:
    """The file of heads, outside of the database: lines are added and never changed."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self._key = key
        self._last: int | None = None

    @property
    def path(self) -> Path:
        return self._directory / "heads.log"

    def append(self, head: Head) -> None:
        """On disk when this returns; nothing if the file is that far already."""
        if self._last is None:
            known, _ = self.read()
            self._last = known[-1].sequence if known else 0
        if head.sequence <= self._last:
            return
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            # A line that was cut off by a crash ends here.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, f"{chr(10) if torn else ''}{head.signed(self._key)}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._last = head.sequence

    def read(self) -> tuple[list[Head], list[int]]:
        """The heads, and the numbers of lines that are none of ours."""
        heads: list[Head] = []
        foreign: list[int] = []
        if not self.path.exists():
            return heads, foreign
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                heads.append(Head.read(self._key, line))
            except (ValueError, TypeError):
                foreign.append(number)
        return heads, foreign


@dataclass(frozen=True, slots=True)
class Chain:
    """What adds to the chain."""

    sessions: Sessions
    sealer: Sealer
    heads: Heads
    clock: Clock

    async def extend(self) -> int:
        """Chain what is not chained yet; how many records that were.

        Records in work by others are not seen, and come later: the chain is in the order in which
        it was made.
        """
        added = 0
        while True:
            async with self.sessions.write() as session:
                if not await repository.alone(session):
                    return added
                end = await repository.last(session)
                if end is None:
                    await accesses.adopt(session, self.sealer)
                rows = await repository.unchained(session, limit=_AT_ONCE)
                sequence, digest = (end.sequence or 0, end.hash or b"") if end else (0, audit.START)
                links: list[tuple[AccessRecord, int, bytes]] = []
                for row in rows:
                    sequence += 1
                    digest = audit.chained(digest, sequence, row.mac or b"")
                    links.append((row, sequence, digest))
                if links:
                    await repository.chain(session, links)
            # After the commit: a head that tells of records which are not there would be a false
            # alarm. One that is not told because of a crash is told with the next.
            if sequence:
                at = self.clock.now().astimezone(UTC).isoformat()
                await asyncio.to_thread(self.heads.append, Head(sequence, digest.hex(), at))
            added += len(links)
            if len(links) < _AT_ONCE:
                return added

    async def keep_up(self) -> None:
        """For ever. Of any number of services one does it."""
        while True:
            try:
                await self.extend()
            except UNREACHABLE as failed:
                # A disk that is full is one of them: the records stand, and are chained later.
                log.warning("audit.not_chained", error=type(failed).__name__)
            await asyncio.sleep(_LOOK_SECONDS)


@dataclass(slots=True)
class Findings:
    """What a verification found. Records that are not chained yet are no fault."""

    chained: int = 0
    unchained: int = 0
    heads: int = 0
    faults: list[str] = field(default_factory=list[str])


async def verify(session: ReadSession, sealer: Sealer, heads: Heads) -> Findings:
    """Go through the whole chain, and compare it with the heads that are kept outside."""
    findings = Findings()
    known, foreign = heads.read()
    findings.heads = len(known)
    findings.faults += [f"{heads.path}: line {number} is not ours" for number in foreign]
    check = _Check(sealer.audit_key, findings, {head.sequence for head in known})
    while rows := await repository.chained_after(session, check.sequence, limit=_READ_AT_ONCE):
        for row in rows:
            check.chained(row)
        for row in rows:
            session.expunge(row)
    for row in await repository.unchained(session):
        findings.unchained += 1
        check.content(row)
    check.finish(known, heads.path)
    return findings


class _Check:
    def __init__(self, key: bytes, findings: Findings, told: set[int]) -> None:
        self.sequence = 0
        self._key = key
        self._findings = findings
        self._told = told
        self._digest: bytes | None = audit.START
        self._hashes: dict[int, str] = {}
        self._redacted: list[AccessRecord] = []
        self._erased: set[UUID] = set()

    def chained(self, row: AccessRecord) -> None:
        assert row.sequence is not None
        if row.sequence != self.sequence + 1:
            gone = row.sequence - self.sequence - 1
            which = f"record {self.sequence + 1}" if gone == 1 else f"records {self.sequence + 1}"
            until = "" if gone == 1 else f" to {row.sequence - 1}"
            verb = "is" if gone == 1 else "are"
            self._fault(f"{which}{until} {verb} missing, before {_which(row)}")
            self._digest = None  # what it goes on from is not known
        sound = self.content(row)
        if self._digest is not None and sound:
            expected = audit.chained(self._digest, row.sequence, row.mac or b"")
            if row.hash != expected:
                self._fault(f"{_which(row)} does not follow from the record before it")
        self.sequence = row.sequence
        self._digest = row.hash
        if row.sequence in self._told:
            self._hashes[row.sequence] = (row.hash or b"").hex()
        self._findings.chained += 1

    def content(self, row: AccessRecord) -> bool:
        """Whether the record is what the service wrote."""
        said = repository.said(row)
        purpose = row.purpose_mac or b""
        if row.mac != audit.mac(self._key, said, purpose):
            self._fault(f"{_which(row)} is not what the service wrote: altered, or put in")
            return False
        if purpose != audit.purpose_mac(self._key, said.id, said.purpose):
            if said.purpose:
                self._fault(f"{_which(row)} has another purpose than the service wrote")
                return False
            self._redacted.append(row)
        if (said.act, said.outcome) == (audit.ERASE, audit.GRANTED):
            self._erased.add(said.resident_id)
        return True

    def finish(self, known: Sequence[Head], path: Path) -> None:
        for row in self._redacted:
            if row.resident_id not in self._erased:
                self._fault(f"{_which(row)} has lost its purpose, and nobody was erased")
        furthest = max(known, key=lambda head: head.sequence, default=None)
        if furthest is None:
            if self.sequence:
                self._fault(f"{path} holds no head of the chain")
            return
        if furthest.sequence > self.sequence:
            self._fault(
                f"records {self.sequence + 1} to {furthest.sequence} are missing at the end:"
                f" there were as many on {furthest.at}"
            )
        for head in known:
            if head.sequence in self._hashes and self._hashes[head.sequence] != head.hash:
                self._fault(
                    f"the chain up to record {head.sequence} is not the one of {head.at}:"
                    " it was made anew"
                )
                return

    def _fault(self, text: str) -> None:
        self._findings.faults.append(text)


def _which(row: AccessRecord) -> str:
    place = f"record {row.sequence}" if row.sequence is not None else "a record not chained yet"
    return f"{place} ({row.id} of {row.resident_id}, {row.at.astimezone(UTC):%Y-%m-%d %H:%M:%S})"
