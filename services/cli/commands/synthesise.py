"""`shequ synth`"""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import DEFAULT_DATA_DIR, DataDir, Village
from services.cli.failures import Failure
from services.cli.premises import DIVISIONS
from services.cli.synth import ledger
from services.cli.synth.housing import read_villages
from services.cli.synth.population import people
from services.common import clock

app = typer.Typer()


@app.command()
def synth(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv or .xlsx.")],
    residents: Annotated[int, typer.Option(min=1, max=2_000_000, help="How many people.")],
    village: Village,
    seed: Annotated[int, typer.Option(help="The same seed and day give the same people.")] = 1,
    mistakes: Annotated[
        float, typer.Option(min=0, max=1, help="Share of rows with a mistake in them.")
    ] = 0.0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a synthetic ledger (台账) of a village: people who do not exist."""
    del data_dir  # taken as by the other commands, so that a script may give it to all; not used
    writers = {".csv": ledger.write_csv, ".xlsx": ledger.write_xlsx}
    if (write := writers.get(file.suffix.lower())) is None:
        raise Failure(f"{file} ends neither in .csv nor in .xlsx.")
    found = [of for of in read_villages(DIVISIONS, within=village) if of.code == village]
    if not found:
        raise Failure(f"There is no village or community with the code {village}.")
    today = clock.today(clock.SystemClock())
    rows = people(count=residents, village=found[0], today=today, seed=seed, mistakes=mistakes)
    try:
        write(file, rows)
    except OSError as refused:
        raise Failure(f"{file} cannot be written: {refused.strerror}.") from None
    typer.echo(f"{residents:,} residents of {found[0].name} in {file}")
