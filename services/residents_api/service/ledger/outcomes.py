"""What became of a ledger's rows, as a workbook that its importer can correct and import again."""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

from services.residents_api.domain.sealing import SealBroken
from services.residents_api.errors import OutcomeUnavailable
from services.residents_api.models import LedgerImport
from services.residents_api.service.ledger import marking
from services.residents_api.service.ledger.job_row import words_of
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.ledger.marking import Note
from services.residents_api.service.ledger.reading import MEMORY_BYTES

_PIECE_BYTES = 1 << 16


async def workbook(
    store: LedgerStore,
    job: LedgerImport,
    notes: AsyncIterator[Sequence[Note]],
    *,
    language: str,
) -> IO[bytes]:
    """The ledger with its outcome, in a file that is gone when it is closed.

    `notes` come in the order of the file. Raises OutcomeUnavailable if the ledger is not kept any
    more, or could not be read in the first place.
    """
    async with store.workplace() as place:
        target, said = place / "outcome.xlsx", place / "notes"
        with await asyncio.to_thread(said.open, "w", encoding="ascii") as file:
            async for some in notes:
                await asyncio.to_thread(file.writelines, [note.line() for note in some])
        try:
            async with store.opened(job.id, job.file_key) as path:
                context = multiprocessing.get_context("spawn")
                process = context.Process(
                    target=marking.mark,
                    args=(path, words_of(job), said, place, target, language, MEMORY_BYTES),
                    daemon=True,
                )
                await _run(process)
        except (FileNotFoundError, IsADirectoryError, SealBroken):
            raise OutcomeUnavailable() from None
        if process.exitcode != 0:
            raise OutcomeUnavailable()
        return await asyncio.to_thread(_opened, target)


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


async def _run(process: BaseProcess) -> None:
    await asyncio.to_thread(process.start)
    try:
        await asyncio.to_thread(process.join)
    finally:
        process.kill()
        await asyncio.to_thread(process.join)


async def pieces(file: IO[bytes]) -> AsyncGenerator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
