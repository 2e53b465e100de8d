"""The `shequ` command."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import structlog
import typer
import typer.core
import typer.main

from services.cli.failures import Failure
from services.cli.interrupts import Interrupted

_INTERRUPTED = 130

# Each command is a module of its own, imported when asked for: `up` need not wait for what only
# `import` uses.
_COMMANDS: Mapping[str, str] = {
    "up": "up",
    "migrate": "migrate",
    "import": "importing",
    "synth": "synthesise",
    "account": "account",
    "token": "token",
    "access": "access",
    "secrets": "secrets",
}


class _Commands(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"services.cli.commands.{_COMMANDS[cmd_name]}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


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
