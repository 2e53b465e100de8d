"""`shequ migrate`"""

import asyncio

import typer

from services.cli import interrupts, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir

app = typer.Typer()


@app.command()
def migrate(database_url: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Bring the database up to date: roles, schemas, tables and the list of divisions."""

    async def work(_: asyncio.Event) -> None:
        async with premises.opened(data_dir, database_url) as town:
            await premises.prepare(town)

    interrupts.run(work)
    typer.echo("The database is up to date.")
