"""`shequ access`"""

from pathlib import Path

import typer

from services.cli import access_table

app = typer.Typer()

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "access.md"


@app.command()
def access() -> None:
    """Write docs/access.md: who may do what."""
    DOCUMENT.write_text(access_table.document(), encoding="utf-8")
    typer.echo(str(DOCUMENT))
