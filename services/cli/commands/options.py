"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir", envvar="SHEQU_DATA_DIR", help="Where the town keeps its data and secrets."
    ),
]
DEFAULT_DATA_DIR = Path(".data")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="SHEQU_DATABASE_URL",
        help="A PostgreSQL server to use in place of the embedded one, as a user who may create roles.",
    ),
]

Village = Annotated[
    str,
    typer.Option("--village", help="Code of the village or community: 12 digits."),
]
