"""`shequ keys`"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli import interrupts, loading, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir
from services.cli.failures import Failure
from services.cli.keyring import Keyring
from services.cli.terminal import Terminal
from services.residents_api.service import rotation
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.rotation import Rotation
from services.residents_api.service.sealing import sealer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Keep the keys that numbers and phones are encrypted with."""


@app.command()
def rotate(database_url: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Encrypt everything with a new key, and retire the old one once nothing needs it.

    The town may run meanwhile. What is interrupted goes on when the command is run again.
    """
    console = Terminal()

    async def work(_: asyncio.Event) -> int:
        async with premises.opened(data_dir, database_url) as town:
            return await _rotate(town, data_dir, console)

    try:
        newest = interrupts.run(work)
    except rotation.Interrupted:
        raise Failure(
            "An import that was interrupted holds values under the old key:"
            " start the town, let it end, and run this again."
        ) from None
    except rotation.Broken as broken:
        raise Failure(
            f"The old key stays, for some values do not open ({broken}): they were altered."
        ) from None
    typer.echo(f"Everything is encrypted with key {newest}; no older key is left.")


async def _rotate(town: premises.Premises, data_dir: Path, console: Terminal) -> int:
    settings = loading.register_settings(town.deployment())
    assert settings.key_file is not None
    ring = Keyring(settings.key_file, data_dir, town.credentials)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with ring.locked(), Progress(*columns, console=console) as progress:
        newest = max(ring.begin())
        task = progress.add_task("", total=None)

        def report(phase: str, done: int, total: int) -> None:
            progress.update(task, description=phase, completed=done, total=total)

        own = sealer(settings)
        async with loading.sessions(settings.database) as opened:
            await Rotation(
                sessions=opened,
                sealer=own,
                store=LedgerStore(settings.ledger_directory, own),
                since=datetime.fromtimestamp(settings.key_file.stat().st_mtime, UTC),
                report=report,
            ).run()
        ring.retire()
    return newest
