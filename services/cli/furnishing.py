"""What `up` puts into a town on its first start: the demo's residents, and accounts to sign in."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from services.cli import database, installation
from services.cli.demo import ACCOUNTS, DemoAccount
from services.cli.failures import Failure
from services.cli.premises import Premises
from services.common import clock
from services.common.access import Role

_STAFF = [account for account in ACCOUNTS if account.role is not Role.RESIDENT]
_RESIDENTS = [account for account in ACCOUNTS if account.role is Role.RESIDENT]


class Demo(StrEnum):
    NONE = "none"
    TOWN = "town"


async def furnish(
    premises: Premises, remembered: dict[str, str], demo: Demo, *, console: Console
) -> list[DemoAccount]:
    """Load what is missing of what was asked for; the accounts there are then.

    Raises Failure if the demo town was asked for where other people live already.
    """
    town = json.loads(remembered.get("town", "null"))
    wanted = demo is Demo.TOWN and not (town and town["loaded"])
    if wanted or "accounts" not in remembered:
        connection = await database.connect(premises.admin_url)
        try:
            if wanted:
                day = date.fromisoformat(town["day"]) if town else await _first_day(connection)
                await _load_town(premises, connection, day, console)
            if "accounts" not in remembered:
                await _create_staff(premises, connection)
        finally:
            await connection.close()
    return list(ACCOUNTS) if wanted or town else _STAFF


async def _first_day(connection: Any) -> date:
    """The day to generate the town for. Raises Failure if people live there already."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM residents_api.resident)"):
        raise Failure(
            "The database already holds people, whom the demo town must not be mixed with:"
            " start with --demo none, or with another --data-dir."
        )
    return clock.today(clock.SystemClock())


async def _load_town(premises: Premises, connection: Any, day: date, console: Console) -> None:
    # Here, for a start that loads nothing does without the register's modules.
    from services.cli import loading  # noqa: PLC0415

    # Remembered before the first row: what is interrupted goes on with the town of the same day.
    await _remember_town(connection, day, loaded=False)
    with _bar(console, "Loading the demo town", total=loading.RESIDENTS) as report:
        resident_id = await loading.load_town(premises.deployment(), day=day, report=report)
    await loading.create_accounts(premises.deployment(), _RESIDENTS, resident_id=resident_id)
    await _remember_town(connection, day, loaded=True)


async def _remember_town(connection: Any, day: date, *, loaded: bool) -> None:
    value = json.dumps({"day": day.isoformat(), "loaded": loaded})
    await installation.remember(connection, "town", value)


async def _create_staff(premises: Premises, connection: Any) -> None:
    from services.cli import loading  # noqa: PLC0415 - as above

    await loading.create_accounts(premises.deployment(), _STAFF)
    await installation.remember(connection, "accounts", "made")


@contextmanager
def _bar(console: Console, title: str, *, total: int) -> Generator[Callable[[int, int], None]]:
    """A progress bar, half of it for rows read and half for rows merged."""
    columns = (
        TextColumn(title),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[merged]:,} of {task.fields[rows]:,} residents"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=2 * total, merged=0, rows=total)

        def report(read: int, merged: int) -> None:
            progress.update(task, completed=read + merged, merged=merged)

        yield report
