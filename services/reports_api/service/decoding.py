"""Decoding photos in processes of their own.

Not in threads: Pillow holds the interpreter while it decodes a WebP, for half a second where the
picture is large, and everybody else would wait. And a decoder that a hostile file makes crash, or
fills with half a gigabyte, takes a worker process with it and not the service.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from functools import partial

import structlog

from services.common.problems import Unavailable
from services.common.workers import end_with_parent
from services.reports_api.domain import pictures
from services.reports_api.domain.pictures import Picture

log = structlog.get_logger(__name__)


class Decoder:
    """Worker processes, started by the first photo, and anew once one of them has died."""

    def __init__(self, *, processes: int, max_pixels: int) -> None:
        self._processes = processes
        self._cleaned = partial(pictures.cleaned, max_pixels=max_pixels)
        self._pool: ProcessPoolExecutor | None = None

    async def cleaned(self, sent: bytes) -> Picture:
        """`pictures.cleaned` of one photo. Raises PhotoRefused, or Unavailable if workers die."""
        loop = asyncio.get_running_loop()
        # Twice: a worker may have died before, or of somebody else's photo.
        for _ in range(2):
            pool = self._pool = self._pool or self._started()
            try:
                return await loop.run_in_executor(pool, self._cleaned, sent)
            except BrokenProcessPool:
                log.error("photo.decoder_died")
                if self._pool is pool:
                    self._pool = None
                    pool.shutdown(wait=False)
        raise Unavailable()

    def _started(self) -> ProcessPoolExecutor:
        # Spawned, not forked: a fork would take the event loop and its connections along.
        return ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=end_with_parent,
        )

    async def close(self) -> None:
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


@asynccontextmanager
async def decoder(*, processes: int, max_pixels: int) -> AsyncGenerator[Decoder]:
    """A decoder whose processes end with the block."""
    opened = Decoder(processes=processes, max_pixels=max_pixels)
    try:
        yield opened
    finally:
        await opened.close()
