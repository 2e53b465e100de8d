"""`shequ import`"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli import interrupts, loading, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, Village
from services.cli.failures import Failure
from services.cli.terminal import Terminal
from services.residents_api.domain.codes import CODES
from services.residents_api.models import LedgerImport
from services.residents_api.repository import imports as repository
from services.residents_api.repository.imports import Reason
from services.residents_api.service import imports
from services.residents_api.service.ledger import job_row

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
    """Import a village's ledger (台账) into the register, as that village's worker would.

    People registered in another village stay untouched there: they get an occupancy that waits to
    be confirmed (resident.elsewhere).
    """
    if not file.is_file():
        raise Failure(f"There is no file {file}.")
    console = Terminal()

    async def work(_: asyncio.Event) -> tuple[LedgerImport, list[Reason]]:
        async with premises.opened(data_dir, database_url) as town:
            return await _import(town, file, village=village, dry_run=dry_run, console=console)

    job, reasons = interrupts.run(work)
    counters = Table(show_header=False, box=box.SIMPLE)
    counters.add_row("import", str(job.id))
    for name in _COUNTERS:
        counters.add_row(name, f"{getattr(job, name):,}")
    console.print(counters)
    if reasons:
        console.print(_table(reasons))


def _table(reasons: list[Reason]) -> Table:
    """Why rows were rejected or taken over with a warning, without a word of what they say."""
    told = Table("code", "outcome", "rows", "first rows", "what to do", box=box.SIMPLE)
    for reason in reasons:
        meaning = CODES[reason.code]
        rows = ", ".join(f"{sheet} {row}".strip() for sheet, row in reason.first)
        told.add_row(
            reason.code,
            "rejected" if meaning.rejects else "warning",
            f"{reason.rows:,}",
            escape(rows + (" …" if reason.rows > len(reason.first) else "")),
            meaning.text_en,
        )
    return told


async def _import(
    town: premises.Premises, file: Path, *, village: str, dry_run: bool, console: Terminal
) -> tuple[LedgerImport, list[Reason]]:
    settings = loading.register_settings(town.deployment())
    await loading.check_village(settings, village)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("reading", total=None)

        def tell(at: job_row.Progress) -> None:
            progress.update(task, description=at.phase, completed=at.rows_done, total=at.rows_total)

        async with imports.own_engine(settings) as importing:
            job = await loading.run_import(
                importing, file, village_code=village, progress=tell, dry_run=dry_run
            )
            async with importing.sessions.read() as session:
                return job, await repository.reasons(session, job.id)
