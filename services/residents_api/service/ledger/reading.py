"""Workbooks are read in a process of their own, so that one can break nothing but its own import.

Their reader is foreign code: what the guards of `domain.ledger` miss aborts the process, or fills
the memory of the machine, and neither is an exception that could be caught. Text files are read
here, line by line, by Python.
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import resource
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from services.common.workers import end_with_parent
from services.residents_api.domain.ledger import (
    LedgerUnreadable,
    Record,
    UnreadableCode,
    Words,
    is_workbook,
    open_ledger,
    records,
)

CHUNK_ROWS = 2_000
# The largest ledger that is let in takes less than half of this address space.
MEMORY_BYTES = 4 << 30

# What foreign code dies of by itself. Everything else has killed it from outside.
_DEATHS: dict[int, UnreadableCode] = {
    signal.SIGABRT: "ledger.too_large",
    signal.SIGBUS: "ledger.damaged",
    signal.SIGFPE: "ledger.damaged",
    signal.SIGILL: "ledger.damaged",
    signal.SIGSEGV: "ledger.damaged",
}


class ReaderKilled(Exception):
    """The reading process was killed from outside: the file may be read by another."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record and its place in the file; the sheets are numbered because names may repeat."""

    ordinal: int
    sheet_number: int
    record: Record


class _End(Protocol):
    """An end of a pipe: what it is called depends on the system."""

    def recv(self) -> Any: ...
    def send(self, obj: Any, /) -> None: ...


# The next chunk, empty at the end. Raises LedgerUnreadable, ReaderKilled.
Next = Callable[[], Awaitable[list[Numbered]]]


@asynccontextmanager
async def reading(
    path: Path, words: Words | None = None, *, memory: int = MEMORY_BYTES
) -> AsyncGenerator[Next]:
    """A ledger, chunk by chunk. What reads it ends with the block."""
    if not await asyncio.to_thread(is_workbook, path):
        chunks = _chunks(path, words)
        yield lambda: asyncio.to_thread(_next, chunks)
        return
    context = multiprocessing.get_context("spawn")
    said, says = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(path, words, says, memory), daemon=True)
    with said:
        # It has its end of the pipe. Without ours, its death is the end of what it says.
        with says:
            process.start()
        try:
            yield lambda: asyncio.to_thread(_heard, process, said)
        finally:
            process.kill()
            await asyncio.to_thread(process.join)


def _next(chunks: Iterator[list[Numbered]]) -> list[Numbered]:
    return next(chunks, list[Numbered]())


def _heard(process: BaseProcess, said: _End) -> list[Numbered]:
    try:
        chunk: list[Numbered] | LedgerUnreadable = said.recv()
    except EOFError:
        process.join()
        died_of = -(process.exitcode or 0)
        if died_of in _DEATHS:
            raise LedgerUnreadable(_DEATHS[died_of]) from None
        raise ReaderKilled from None
    if isinstance(chunk, LedgerUnreadable):
        raise chunk
    return chunk


def _read(path: Path, words: Words | None, says: _End, memory: int) -> None:
    end_with_parent()
    # macOS knows no such limit.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        for chunk in _chunks(path, words):
            says.send(chunk)
        says.send([])
    except LedgerUnreadable as unreadable:
        says.send(unreadable)
    except MemoryError:
        says.send(LedgerUnreadable("ledger.too_large"))
    except BrokenPipeError:
        pass  # nobody wants the rest


def _chunks(path: Path, words: Words | None) -> Iterator[list[Numbered]]:
    numbered = (
        Numbered(ordinal, sheet_number, record)
        for ordinal, (sheet_number, record) in enumerate(_records(path, words))
    )
    while chunk := list(itertools.islice(numbered, CHUNK_ROWS)):
        yield chunk


def _records(path: Path, words: Words | None) -> Iterator[tuple[int, Record]]:
    for sheet_number, sheet in enumerate(open_ledger(path, words)):
        for record in records([sheet]):
            yield sheet_number, record
