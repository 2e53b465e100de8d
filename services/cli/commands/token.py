"""`shequ token`"""

import asyncio
import sys
from http import HTTPStatus
from typing import Annotated

import httpx
import typer

from services.cli import interrupts
from services.cli.commands.options import DEFAULT_DATA_DIR, DataDir
from services.cli.credentials import Credentials
from services.cli.demo import ACCOUNTS
from services.cli.directory import DataDirectory
from services.cli.failures import Failure
from services.cli.ports import HOST
from services.common import http
from services.common.access import Role

app = typer.Typer()

_CLIENTS = {account.name for account in ACCOUNTS if account.role is Role.CLIENT}


@app.command()
def token(
    account: Annotated[str, typer.Argument(help="An account, or the id of an API client.")],
    client: Annotated[
        bool, typer.Option("--client", help="It is an API client; `platform` is known to be one.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password or secret.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Sign in at the running gateway. The last line printed is the access token alone."""
    directory = DataDirectory(data_dir)
    run = directory.run()
    if run is None:
        raise Failure(f"No town runs on {directory.path}; start it with `shequ up`.")
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        known = Credentials.at(directory.secrets).accounts
        password = known.get(account) or _ask(account)
    form = {"grant_type": "password", "username": account, "password": password}
    if client or account in _CLIENTS:
        form = {
            "grant_type": "client_credentials", "client_id": account, "client_secret": password,
        }  # fmt: skip

    async def work(_: asyncio.Event) -> str:
        return await _sign_in(f"http://{HOST}:{run.ports['gateway']}", form)

    typer.echo(interrupts.run(work))


def _ask(account: str) -> str:
    if not sys.stdin.isatty():
        raise Failure(
            f"The password of {account} is not known here; give it with --password-stdin."
        )
    return str(typer.prompt(f"Password of {account}", hide_input=True, err=True))


async def _sign_in(gateway: str, form: dict[str, str]) -> str:
    try:
        async with http.client(base_url=gateway) as opened:
            answer = await opened.post("/oauth/token", data=form)
            body = answer.json()
    except (httpx.HTTPError, ValueError):
        raise Failure(f"The gateway at {gateway} does not answer.") from None
    if answer.status_code != HTTPStatus.OK:
        reason = body.get("error_description") or body.get("error") or answer.status_code
        raise Failure(f"The gateway refuses: {reason}.")
    return str(body["access_token"])
