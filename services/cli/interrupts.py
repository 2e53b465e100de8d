"""Ctrl-C, SIGTERM and a closed terminal: work is cancelled once, and cleans up after itself."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The work was told to stop, and has."""


def run(work: Callable[[asyncio.Event], Coroutine[Any, Any, Result]]) -> Result:
    """Run to the end. The event that the work is given is set by a second signal: hurry.

    Raises Interrupted after a signal, once the work has cleaned up.
    """
    return asyncio.run(_guarded(work))


async def _guarded(work: Callable[[asyncio.Event], Coroutine[Any, Any, Result]]) -> Result:
    loop = asyncio.get_running_loop()
    hurry = asyncio.Event()
    task = asyncio.create_task(work(hurry))
    told = False

    def stop() -> None:
        nonlocal told
        if told:
            hurry.set()
        else:
            told = True
            task.cancel()

    for number in _SIGNALS:
        # What is started with nohup stays when its terminal closes.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        raise Interrupted from None
