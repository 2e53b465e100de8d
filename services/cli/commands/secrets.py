"""`shequ secrets`"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from services.cli import database, environments
from services.cli.credentials import Credentials
from services.cli.database import DATABASE, SERVICES
from services.cli.directory import write_private
from services.cli.environments import Deployment
from services.cli.failures import Failure
from services.cli.postgres import SUPERUSER
from services.cli.premises import SECRETS_VARIABLE

app = typer.Typer()

# As deploy/compose.yaml has it.
_DATA = Path("/data")
_PORT = 8000


@app.command()
def secrets(
    env_dir: Annotated[
        Path, typer.Option(help="Where to write them; keep it: it is all that can read the data.")
    ],
    issuer: Annotated[
        str, typer.Option(help="The gateway's address as its clients know it.")
    ] = f"http://localhost:{_PORT}",
    database_url: Annotated[
        str | None,
        typer.Option(help="A PostgreSQL server of your own, in place of the one in compose.yaml."),
    ] = None,
) -> None:
    """Write an environment file for each container of deploy/compose.yaml.

    Secrets that are there already stay as they are.
    """
    try:
        env_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        credentials = Credentials.at(env_dir / "secrets.json")
        for name, variables in env_files(
            credentials, issuer=issuer, database_url=database_url
        ).items():
            write_private(env_dir / f"{name}.env", _lines(variables))
    except OSError as refused:
        raise Failure(f"{env_dir} cannot be written: {refused.strerror}.") from None
    typer.echo(str(env_dir))


def env_files(
    credentials: Credentials, *, issuer: str, database_url: str | None = None
) -> dict[str, dict[str, str]]:
    """The environment of each container by its name in compose.yaml."""
    password = quote(credentials.superuser, safe="")
    admin_url = database_url or f"postgresql://{SUPERUSER}:{password}@postgres:5432/{DATABASE}"
    deployment = Deployment(
        credentials=credentials,
        databases={
            role: database.role_url(admin_url, role=role, password=credentials.roles[role])
            for role in SERVICES
        },
        addresses={name: f"http://{hostname(name)}:{_PORT}" for name in SERVICES},
        issuer=issuer,
        folders=_DATA,
    )
    kept = asdict(replace(credentials, accounts={}))
    return {hostname(name): environments.variables(name, deployment) for name in SERVICES} | {
        "postgres": {"POSTGRES_PASSWORD": credentials.superuser, "POSTGRES_DB": DATABASE},
        "command": {"SHEQU_DATABASE_URL": admin_url, SECRETS_VARIABLE: json.dumps(kept)},
    }


def hostname(service: str) -> str:
    """`residents-api`: the name of a host has no underscore."""
    return service.replace("_", "-")


def _lines(variables: Mapping[str, str]) -> str:
    # Within single quotes compose takes every character as it is; none of ours is a single quote.
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())
