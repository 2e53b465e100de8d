"""Worker processes: what each does before its first task."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """The `initializer` of a process pool whose workers are spawned.

    Ctrl-C reaches every process of a terminal, and is the parent's to handle. A parent that is
    killed says nothing to its workers, which would wait for their next task for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
