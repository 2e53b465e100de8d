"""`shequ up`"""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from services.cli import interrupts, up
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir
from services.cli.furnishing import Demo
from services.cli.interrupts import Interrupted
from services.cli.terminal import Terminal

app = typer.Typer()


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def run(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The gateway's port; 0 takes any that is free.")
    ] = 8000,
    demo: Annotated[
        Demo,
        typer.Option(help="Whom the town starts with: the 59,000 of the demo town, or nobody."),
    ] = Demo.TOWN,
    log_level: Annotated[LogLevel, typer.Option(help="What the services log.")] = LogLevel.INFO,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start the town: database, services and gateway, until Ctrl-C."""
    options = up.Options(
        port=port,
        demo=demo,
        database_url=database_url,
        data_dir=data_dir,
        log_level=log_level.value,
    )
    console = Terminal()

    async def work(hurry: asyncio.Event) -> None:
        await up.up(options, console=console, hurry=hurry)

    try:
        interrupts.run(work)
    except Interrupted:
        console.print("Stopped.")
