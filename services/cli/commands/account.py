"""`shequ account`"""

import asyncio
import sys
from typing import Annotated
from uuid import UUID

import typer

from services.cli import interrupts, loading, premises
from services.cli.commands.options import DEFAULT_DATA_DIR, DatabaseUrl, DataDir
from services.cli.credentials import new_password
from services.cli.failures import Failure
from services.common.access import Role
from services.common.problems import Problem
from services.gateway.service import accounts

app = typer.Typer(no_args_is_help=True)


@app.callback()
def account() -> None:
    """Keep the accounts of those who sign in."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, dots, hyphens.")],
    role: Annotated[Role, typer.Option(help="What the account may do.")],
    area: Annotated[list[str], typer.Option(help="Where: a division, grid or compound.")],
    resident: Annotated[
        UUID | None, typer.Option(help="The resident that an account of role resident belongs to.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password; else one is made.")
    ] = False,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Create an account. Its password, if made here, is printed this once."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_password()

    async def work(_: asyncio.Event) -> None:
        async with premises.opened(data_dir, database_url) as town:
            of = loading.gateway_settings(town.deployment()).database
            async with loading.sessions(of) as opened, opened.write() as session:
                await accounts.create_account(
                    session,
                    name=name,
                    password=password,
                    roles=[role],
                    areas=area,
                    resident_id=resident,
                )

    try:
        interrupts.run(work)
    except Problem as refused:
        details = [error.detail.en for error in refused.errors] or [refused.detail.en]
        raise Failure(f"No account was created: {'; '.join(details)}.") from None
    typer.echo(f"Account {name} is created.")
    if not password_stdin:
        typer.echo(f"Its password, which is shown this once: {password}")
