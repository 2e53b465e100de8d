"""The `shequ` command."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
import typer
import typer.core
import typer.main

from services.cli.failures import Failure
from services.cli.interrupts import Interrupted

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Listed:
    """A command as the list of commands has it."""

    module: str
    help: str


# Each command is a module of its own, imported when it is run: neither `up` nor `--help` need wait
# for what only `import` uses.
COMMANDS: Mapping[str, Listed] = {
    "up": Listed("up", "Start the town: database, services and gateway, until Ctrl-C."),
    "migrate": Listed(
        "migrate",
        "Bring the database up to date: roles, schemas, tables and the list of divisions.",
    ),
    "import": Listed(
        "importing",
        "Import a village's ledger (台账) into the register, as that village's worker would.",
    ),
    "synth": Listed(
        "synthesise", "Write a synthetic ledger (台账) of a village: people who do not exist."
    ),
    "account": Listed("account", "Keep the accounts of those who sign in."),
    "token": Listed(
        "token", "Sign in at the running gateway. The last line printed is the access token alone."
    ),
    "access": Listed("access", "Write docs/access.md: who may do what."),
    "audit": Listed("audit", "Look after the audit of reading: who read plain values of whom."),
    "keys": Listed("keys", "Keep the keys that numbers and phones are encrypted with."),
    "secrets": Listed(
        "secrets", "Write an environment file for each container of deploy/compose.yaml."
    ),
}


class _Commands(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command by name and help only: what the list shows."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return typer.core.TyperCommand(cmd_name, help=COMMANDS[cmd_name].help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        module = importlib.import_module(f"services.cli.commands.{COMMANDS[name].module}")
        command = typer.main.get_command(module.app)
        command.name = name
        return name, command, rest


# No pretty exceptions: they show local variables, and those hold secrets.
commands = typer.Typer(
    cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)


@commands.callback()
def shequ() -> None:
    """社区: the backend of a city's community platform."""


def _log_to_stderr() -> None:
    """What the services' code has to say when the command runs it: warnings, never a value."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def app() -> None:
    """The entry point: a failure is one sentence on stderr and exit code 1."""
    _log_to_stderr()
    try:
        commands()
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        sys.exit(1)
    except Interrupted:
        sys.exit(_INTERRUPTED)
