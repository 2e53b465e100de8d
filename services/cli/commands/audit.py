"""`shequ audit`"""

import asyncio

import typer

from services.cli import interrupts, loading, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir
from services.cli.failures import Failure
from services.residents_api.service import audit
from services.residents_api.service.audit import Findings, Heads
from services.residents_api.service.sealing import sealer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def chain() -> None:
    """Look after the audit of reading: who read plain values of whom."""


@app.command()
def verify(database_url: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Find records of reading that were altered, removed or put in. Exit code 1 if there are any."""

    async def work(_: asyncio.Event) -> Findings:
        async with premises.opened(data_dir, database_url) as town:
            return await _verify(town)

    found = interrupts.run(work)
    for fault in found.faults:
        typer.echo(fault)
    typer.echo(
        f"{found.chained:,} records in the chain, {found.unchained:,} not chained yet;"
        f" {found.heads:,} heads kept outside the database."
    )
    if found.faults:
        raise Failure(f"The audit of reading is not whole: {len(found.faults):,} faults.")
    typer.echo("The audit of reading is whole.")


async def _verify(town: premises.Premises) -> Findings:
    settings = loading.register_settings(town.deployment())
    own = sealer(settings)
    async with loading.sessions(settings.database) as opened, opened.read() as session:
        return await audit.verify(session, own, Heads(settings.audit_directory, own.audit_key))
