"""`shequ import`"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli import interrupts, loading, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, Village
from services.cli.failures import Failure
from services.cli.terminal import Terminal
from services.residents_api.models import LedgerImport
from services.residents_api.service import imports
from services.residents_api.service.ledger import engine

app = typer.Typer()

_COUNTERS = (
    "rows_total",
    "rows_accepted",
    "rows_rejected",
    "residents_created",
    "residents_updated",
    "residents_unchanged",
    "dwellings_created",
    "occupancies_created",
)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A ledger: XLSX, XLS or CSV.")],
    village: Village,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")
    ] = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Import a village's ledger (台账) into the register."""
    if not file.is_file():
        raise Failure(f"There is no file {file}.")
    console = Terminal()

    async def work(_: asyncio.Event) -> LedgerImport:
        async with premises.opened(data_dir, database_url) as town:
            return await _import(town, file, village=village, dry_run=dry_run, console=console)

    job = interrupts.run(work)
    counters = Table(show_header=False, box=box.SIMPLE)
    counters.add_row("import", str(job.id))
    for name in _COUNTERS:
        counters.add_row(name, f"{getattr(job, name):,}")
    console.print(counters)


async def _import(
    town: premises.Premises, file: Path, *, village: str, dry_run: bool, console: Terminal
) -> LedgerImport:
    settings = loading.register_settings(town.deployment())
    await loading.check_village(settings, village)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("reading", total=None)

        def tell(at: engine.Progress) -> None:
            progress.update(task, description=at.phase, completed=at.rows_done, total=at.rows_total)

        async with imports.own_engine(settings) as importing:
            return await loading.run_import(
                importing, file, village_code=village, progress=tell, dry_run=dry_run
            )
