"""`shequ` as its users run it: real processes on a data directory of their own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SHEQU = (sys.executable, "-c", "from services.cli.main import app; app()")
_READY_SECONDS = 90
_STOP_SECONDS = 60


def shequ(
    *arguments: str | Path, stdin: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*_SHEQU, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=env,
    )


def sentence(answer: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said: one line on stderr, exit code 1, and no traceback."""
    assert answer.returncode == 1, answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.stderr.rstrip().endswith(".")
    return answer.stderr.rstrip()


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(slots=True)
class Up:
    """A running `shequ up`."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "run.json").read_text())

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.run['ports']['gateway']}"

    def until(self, text: str) -> None:
        """Wait until it says so."""

        def said() -> bool:
            assert self.process.poll() is None, self.text
            return text in self.text

        wait_until(said)

    def family(self) -> list[psutil.Process]:
        """Everything that it started, and what those have started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)


@contextmanager
def up(data_dir: Path, *arguments: str, demo: str = "none") -> Generator[Up]:
    """`shequ up` on any free port, ready; killed at the end if it still runs."""
    output = data_dir.with_name(f"{data_dir.name}.output")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*_SHEQU, "up", "--port", "0", "--demo", demo, "--data-dir", data_dir, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    town = Up(process, data_dir, output)
    family: Sequence[psutil.Process] = ()
    try:
        town.until("Ready after")
        family = town.family()
        yield town
    finally:
        process.kill()
        process.wait()
        _, left = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        for one in left:
            one.kill()


def still_there(family: Sequence[psutil.Process], *, within: float = 20) -> list[str]:
    """Which of these processes do not end, given some time."""
    _, left = psutil.wait_procs(family, timeout=within)
    return [" ".join(one.cmdline()) for one in left]
