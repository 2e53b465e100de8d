"""What the command prints to, which may go away while the town runs on."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console


class Terminal(Console):
    """A console that falls silent when nobody reads it any more."""

    def __init__(self) -> None:
        # Into a file or a pipe, nothing is cut or folded.
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else 200)

    def on_broken_pipe(self) -> None:
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        # A terminal that was closed refuses what is written to it.
        with suppress(OSError):
            super().print(*objects, **options)

    @contextmanager
    def changing_line(self, first: str) -> Generator[Callable[[str], None]]:
        """One line that is said anew; into a file, a line for every change."""
        if self.is_terminal:
            with self.status(first) as status:
                yield status.update
            return
        last = ""

        def say(text: str) -> None:
            nonlocal last
            if text != last:
                self.print(text, soft_wrap=True)
            last = text

        yield say
