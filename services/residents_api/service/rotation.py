"""A new key for everything that is sealed, while the register is at work.

The new key is in the key file before this begins, so whatever is sealed from then on is sealed with
it. Batch by batch the rest follows: a batch opens values, seals them anew, and writes each where the
old ciphertext still stands, so that a value which somebody changes meanwhile is left alone. A batch
is a transaction of its own; what is done stays done, and a run that is killed is simply run again.

Then the database is told to refuse older keys, and to look at every value: only what it has proved
not to be needed may be retired.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError, IntegrityError

from services.common import errors
from services.common.database import Sessions
from services.residents_api.domain.sealing import PHONE, SealBroken, Sealer
from services.residents_api.repository import resealing as repository
from services.residents_api.repository.resealing import KEPT, SEALED, Sealed
from services.residents_api.service.ledger.job_row import LEASE
from services.residents_api.service.ledger.keeping import LedgerStore

BATCH = 1_000
_LOCK_NOT_AVAILABLE = "55P03"
_WAIT_SECONDS = 0.5
# An import that was asked for this long before the key may have sealed something with the old one.
_MARGIN = timedelta(minutes=1)

# How many values are done, and of how many.
Report = Callable[[str, int, int], None]


class Broken(Exception):
    """Values that do not open: with their key gone nobody could ever tell why."""

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__(", ".join(places))
        self.places = places


class Interrupted(Exception):
    """An import holds values under the old key, and nobody is at work on it."""


@dataclass(slots=True)
class Rotation:
    """One rotation. `sealer` seals with the new key and opens the old ones."""

    sessions: Sessions
    sealer: Sealer
    store: LedgerStore
    since: datetime
    report: Report
    done: int = 0
    total: int = 0

    @property
    def key_id(self) -> int:
        return max(self.sealer.keys)

    async def run(self) -> None:
        """Until nothing is left that needs an older key. Raises Broken, Interrupted."""
        await self._count()
        await self._pass(SEALED)
        await self._imports_end()
        for of in KEPT:
            await self._close(of)
        # What was sealed before and came in during the pass; nothing can come any more.
        await self._pass(SEALED)
        await self._staged_phones()
        await self._files()

    async def _count(self) -> None:
        async with self.sessions.read() as session:
            for of in SEALED:
                self.total += await repository.count(session, of, key_id=self.key_id)
        self._tell("sealing anew")

    def _tell(self, phase: str) -> None:
        self.report(phase, self.done, max(self.total, self.done))

    async def _pass(self, columns: Sequence[Sealed]) -> None:
        broken: list[str] = []
        for of in columns:
            while await self._column(of, broken):
                continue
        if broken:
            raise Broken(broken)

    async def _column(self, of: Sealed, broken: list[str]) -> bool:
        """Go through a column once; whether somebody was faster with some of it."""
        after: Sequence[object] | None = None
        missed = False
        while True:
            async with self.sessions.read() as session:
                rows = await repository.some(
                    session, of, key_id=self.key_id, after=after, limit=BATCH
                )
            if not rows:
                return missed
            sealed = await asyncio.to_thread(
                self._renewed, of, [(row.seal_index, row.seal_value) for row in rows]
            )
            async with self.sessions.write() as session:
                written = await repository.renew(session, of, rows, sealed)
            opened = sum(new is not None for new in sealed)
            if opened < len(rows):
                broken.append(f"{of.table}.{of.column}: {len(rows) - opened}")
            missed = missed or written < opened
            self.done += written
            self._tell("sealing anew")
            after = tuple(rows[-1][: len(of.key)])

    def _renewed(self, of: Sealed, values: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
        return [self._renewed_one(of.said, value, index) for index, value in values]

    def _renewed_one(self, said: str, value: bytes, index: bytes) -> bytes | None:
        try:
            plain = self.sealer.open_bytes(said, value, blind_index=index)
        except SealBroken:
            return None
        return self.sealer.seal_bytes(said, plain, blind_index=index)

    async def _imports_end(self) -> None:
        """Wait for imports whose rows were sealed on their way in, before the key was there."""
        while True:
            await self._staged_phones()
            async with self.sessions.read() as session:
                leases = await repository.importing_since(session, before=self.since + _MARGIN)
                now = await repository.now(session)
            if not leases:
                return
            if any(lease is None or lease < now - LEASE for lease in leases):
                raise Interrupted
            self._tell("waiting for imports under way")
            await asyncio.sleep(_WAIT_SECONDS)

    async def _close(self, of: Sealed) -> None:
        """Have the database refuse older keys, and prove that there are none."""
        while True:
            try:
                async with self.sessions.write() as session:
                    await repository.refuse_older(session, of, key_id=self.key_id)
                break
            except DBAPIError as refused:
                if errors.sqlstate(refused) != _LOCK_NOT_AVAILABLE:
                    raise
                await asyncio.sleep(_WAIT_SECONDS)
        while True:
            await self._pass([of])
            try:
                async with self.sessions.write() as session:
                    await repository.prove(session, of)
                return
            except IntegrityError:
                continue  # one came in just before the door was shut

    async def _staged_phones(self) -> None:
        while True:
            async with self.sessions.read() as session:
                rows = await repository.staged_phones(session, key_id=self.key_id, limit=BATCH)
            if not rows:
                return
            renewed = [(*row, [self._staged(phone) for phone in row[2]]) for row in rows]
            async with self.sessions.write() as session:
                for import_id, ordinal, old, new in renewed:
                    await repository.renew_staged(session, import_id, ordinal, old, new)

    def _staged(self, phone: str) -> str:
        index, _, sealed = phone.partition(":")
        renewed = self._renewed_one(PHONE, bytes.fromhex(sealed), bytes.fromhex(index))
        if renewed is None:
            raise Broken(["ledger_staging.phones: 1"])
        return f"{index}:{renewed.hex()}"

    async def _files(self) -> None:
        """Ledgers that are kept for a while."""
        for key in await self.store.all_keys():
            try:
                await self.store.renew(UUID(key.partition(".")[0]), key)
            except FileNotFoundError:
                continue  # its time was up
            except SealBroken:
                raise Broken([f"a kept ledger, {key}: 1"]) from None
