"""Keeps the services' processes: started together, again when one dies, and ended in order.

Each is a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, and so
that whatever a service started itself ends with it.
"""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedWriter, FileIO
from pathlib import Path

from services.cli.lifeline import end_with_parent

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# One that has lived this long starts again without having to wait for earlier deaths.
STEADY_SECONDS = 60.0
STOP_SECONDS = 10.0
# Whoever is being served ends before those who serve it.
FIRST_TO_STOP = "gateway"
_KEEP_LOG_BYTES = 16 * 1024 * 1024

# A service's own logging replaces uvicorn's. Long polls and event streams are cut after 5 s of
# stopping. Nobody stands in front of these ports whose word on a client's address could be taken.
UVICORN = (
    "-m", "uvicorn", "--factory", "--http", "httptools", "--loop", "uvloop",
    "--no-access-log", "--log-config", str(Path(__file__).with_name("uvicorn_logging.json")),
    "--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown", "5",
)  # fmt: skip
# Longer than a neighbour's client keeps an idle connection, or it would write into a closed one.
KEEP_ALIVE = ("--timeout-keep-alive", "75")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """One service's process. `variables` is its whole environment."""

    name: str
    host: str
    port: int
    variables: Mapping[str, str] = field(repr=False)
    directory: Path
    log: Path

    @property
    def command(self) -> Sequence[str]:
        return (
            sys.executable, "-P", *UVICORN, *KEEP_ALIVE, "--host", self.host,
            "--port", str(self.port), f"services.{self.name}.main:create_app",
        )  # fmt: skip


class Keeper:
    """Keeps one program running until told to stop."""

    def __init__(self, program: Program, *, tell: Tell, changed: Callable[[], None]) -> None:
        self.program = program
        self.deaths = 0
        self._tell = tell
        self._changed = changed
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        await self._spawn()
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while True:
            assert self._process is not None
            started = time.monotonic()
            code = await self._process.wait()
            self._end_group(self._process.pid)
            self._process = None
            self.deaths += 1
            if time.monotonic() - started > STEADY_SECONDS:
                delay = FIRST_DELAY
            self._tell(f"{self.program.name} {_ending(code)}; it starts again in {delay:g} s.")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
            await self._spawn()

    async def _spawn(self) -> None:
        with _log(self.program.log) as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.variables),
                cwd=self.program.directory,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGTERM),
            )
        self._changed()

    async def stop(self, *, hurry: asyncio.Event) -> None:
        """End it: politely, then after a while or when hurried by force."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait(
            [ended, hurried], timeout=STOP_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        hurried.cancel()
        if not ended.done():
            self._tell(f"{self.program.name} did not stop; it is killed.")
        self._end_group(process.pid)
        await ended
        self._process = None

    @staticmethod
    def _end_group(pid: int) -> None:
        """Kill what is left of a service: its worker processes, which belong to its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _log(path: Path) -> BufferedWriter:
    with suppress(FileNotFoundError):
        if path.stat().st_size > _KEEP_LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return BufferedWriter(FileIO(descriptor, "ab"))


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


class Supervisor:
    """All services of a town: the gateway last to start and first to stop."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        tell: Tell,
        changed: Callable[[], None],
        hurry: asyncio.Event,
    ) -> None:
        self.keepers = [Keeper(program, tell=tell, changed=changed) for program in programs]
        self._hurry = hurry

    async def start(self) -> None:
        for keeper in self.keepers:
            await keeper.start()

    async def stop(self) -> None:
        """End all, in order; who is hurried does not wait."""
        first = [keeper for keeper in self.keepers if keeper.program.name == FIRST_TO_STOP]
        others = [keeper for keeper in self.keepers if keeper not in first]
        for keepers in (first, others):
            await asyncio.gather(*(keeper.stop(hurry=self._hurry) for keeper in keepers))

    @property
    def pids(self) -> dict[str, int]:
        return {keeper.program.name: keeper.pid for keeper in self.keepers if keeper.pid}


async def waiting_for(program: Program) -> Sequence[str] | None:
    """What a service says it still waits for: nothing when it is ready; None if it says nothing."""
    try:
        status, body = await asyncio.wait_for(_get(program.host, program.port, "/readyz"), 5)
        if status == HTTPStatus.OK:
            return ()
        checks: dict[str, bool] = json.loads(body)["checks"]
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return None
    return [name for name, passed in checks.items() if not passed] or None


async def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    # By hand: importing an HTTP client would take longer than all of these requests.
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body
    except IndexError:
        raise ValueError from None
    finally:
        writer.close()
