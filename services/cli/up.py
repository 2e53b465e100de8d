"""`shequ up`: the whole town on this machine, from the first secret to the last process ended."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from services.cli import environments, furnishing, premises
from services.cli.demo import AREA_NAMES, DemoAccount
from services.cli.directory import DataDirectory, Run
from services.cli.failures import Failure
from services.cli.furnishing import Demo
from services.cli.ports import HOST, Ports
from services.cli.premises import Premises
from services.cli.supervisor import FIRST_TO_STOP, Program, Supervisor, Tell, waiting_for
from services.cli.terminal import Terminal

# A service that dies so often before the town is ready will not get ready.
_TRIES_AT_A_START = 3
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    """`port` 0 takes any that is free."""

    port: int
    demo: Demo
    database_url: str | None
    data_dir: Path
    log_level: str


async def up(options: Options, *, console: Terminal, hurry: asyncio.Event) -> None:
    """Run the town until cancelled. Raises Failure if it cannot start."""
    began = time.monotonic()
    directory = DataDirectory(options.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(directory.locked())
        _end_leftovers(directory)
        ports = Ports.reserve(options.port)
        stack.callback(ports.close)
        town = await stack.enter_async_context(premises.started(directory, options.database_url))
        remembered = await premises.prepare(town)
        accounts = await furnishing.furnish(town, remembered, options.demo, console=console)

        def tell(text: str) -> None:
            console.print(f"[yellow]{time.strftime('%H:%M:%S')} {text}[/]")

        def changed() -> None:
            directory.write_run(Run(os.getpid(), ports.numbers, supervisor.pids))

        supervisor = Supervisor(
            _programs(directory, town, ports.numbers, options.log_level),
            tell=tell,
            changed=changed,
            hurry=hurry,
        )
        stack.callback(directory.forget_run)
        stack.push_async_callback(_stop, supervisor, console)
        await supervisor.start()
        await _until_ready(supervisor, console)
        _show(console, directory, ports.numbers, town, accounts, time.monotonic() - began)
        await _watch_database(town, tell)


def _programs(
    directory: DataDirectory, town: Premises, ports: Mapping[str, int], log_level: str
) -> list[Program]:
    deployment = town.deployment(ports=ports, log_level=log_level)
    return [
        Program(
            name=name,
            host=HOST,
            port=port,
            variables=environments.clean()
            | environments.passed_on(name)
            | environments.variables(name, deployment),
            directory=directory.folder(name),
            log=directory.logs / f"{name}.log",
        )
        for name, port in ports.items()
    ]


def _end_leftovers(directory: DataDirectory) -> None:
    """End services whose supervisor was killed, if any have not noticed yet."""
    last = directory.last_run()
    if last is None:
        return
    for name, pid in last.pids.items():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if f"services.{name}.main:create_app".encode() in command:
                os.killpg(pid, signal.SIGKILL)
    directory.forget_run()


async def _stop(supervisor: Supervisor, console: Terminal) -> None:
    console.print("Stopping …")
    await supervisor.stop()


async def _until_ready(supervisor: Supervisor, console: Terminal) -> None:
    """Wait for every service, telling what for. Raises Failure if one does not start."""
    programs = [keeper.program for keeper in supervisor.keepers]
    with console.changing_line("Starting") as say:
        while True:
            for keeper in supervisor.keepers:
                if keeper.deaths >= _TRIES_AT_A_START:
                    raise Failure(
                        f"{keeper.program.name} does not start; {keeper.program.log} says why."
                    )
            found = await asyncio.gather(*(waiting_for(program) for program in programs))
            missing = {
                program.name: checks
                for program, checks in zip(programs, found, strict=True)
                if checks is None or checks
            }
            if not missing:
                return
            say(f"Waiting for {', '.join(_said(missing))}")
            await asyncio.sleep(_LOOK_SECONDS)


def _said(missing: Mapping[str, Sequence[str] | None]) -> Iterator[str]:
    """Each service with what it waits for itself; the gateway waits for all of them anyway."""
    for name, checks in missing.items():
        if checks and (name != FIRST_TO_STOP or len(missing) == 1):
            yield f"{name} ({', '.join(checks)})"
        else:
            yield name


async def _watch_database(town: Premises, tell: Tell) -> None:
    """For ever: start the embedded server again if it dies."""
    server, process = town.server, town.process
    while True:
        await asyncio.sleep(_LOOK_SECONDS * 5)
        if server is not None and process is not None and process.poll() is not None:
            tell("PostgreSQL ended; it starts again.")
            process = server.run()


def _show(
    console: Terminal,
    directory: DataDirectory,
    ports: Mapping[str, int],
    town: Premises,
    accounts: Sequence[DemoAccount],
    seconds: float,
) -> None:
    gateway = f"http://{HOST}:{ports['gateway']}"
    places = Table(title="shequ", title_justify="left", show_header=False, box=box.SIMPLE)
    for what, where in (
        ("gateway", gateway),
        ("documentation", f"{gateway}/docs"),
        *((name, f"http://{HOST}:{port}") for name, port in ports.items() if name != "gateway"),
        ("data", str(directory.path)),
        ("logs", str(directory.logs)),
    ):
        places.add_row(what, where)
    people = Table(title="accounts", title_justify="left", box=box.SIMPLE)
    for heading in ("account", "password", "role", "area", ""):
        # Folded if need be: half a password is none.
        people.add_column(heading, overflow="fold")
    for account in accounts:
        people.add_row(
            account.name,
            town.credentials.accounts[account.name],
            account.role.value,
            account.area,
            AREA_NAMES[account.area],
        )
    console.print(places, people)
    console.print(f"Ready after {seconds:.1f} s. Ctrl-C stops everything.")
