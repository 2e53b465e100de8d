"""Nothing started here outlives the one who started it, not even by `kill -9`."""

import ctypes
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(signal_number: int) -> Callable[[], None] | None:
    """A `preexec_fn`: the new process gets the signal when its parent dies, however it dies.

    The parent is the *thread* that starts it: start processes from the main thread only. Only
    Linux knows this; elsewhere a killed parent leaves its children behind.
    """
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal_number)
        # The parent may have died before the kernel was asked.
        if os.getppid() != parent:
            os._exit(1)

    return ask
