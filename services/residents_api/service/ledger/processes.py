"""The worker processes of imports."""

import asyncio
import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from services.common.workers import end_with_parent
from services.residents_api.service.ledger import preparing
from services.residents_api.service.ledger.preparing import Job, Prepared
from services.residents_api.service.ledger.reading import Numbered


class Workers:
    """Worker processes, started when a long ledger needs them, and anew after one of them died."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, job: Job, chunk: list[Numbered]) -> "Future[Prepared]":
        for pool in (self._pool, None):
            if pool is None:
                # Spawned, not forked: a fork would take the event loop and its connections along.
                pool = self._pool = ProcessPoolExecutor(
                    self._processes,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=end_with_parent,
                )
            try:
                return pool.submit(preparing.prepare, job, chunk)
            except BrokenProcessPool:
                pool.shutdown(wait=False)
        raise AssertionError("a new pool is not broken")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def submit(workers: Workers | None, job: Job, chunk: list[Numbered]) -> "asyncio.Future[Prepared]":
    loop = asyncio.get_running_loop()
    if workers is None:
        return loop.run_in_executor(None, preparing.prepare, job, chunk)
    return asyncio.wrap_future(workers.submit(job, chunk))
