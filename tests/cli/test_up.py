"""`shequ up`, from the first start to the last process ended."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import httpx
import pytest

from services.cli import database
from services.cli.credentials import Credentials
from services.cli.database import SERVICES
from services.cli.environments import prefix
from services.cli.postgres import EmbeddedPostgres
from tests.cli import towns
from tests.cli.towns import sentence, shequ, still_there


def secrets_of(data_dir: Path) -> Credentials:
    return Credentials.at(data_dir / "secrets" / "secrets.json")


def test_a_town_starts_serves_stops_and_keeps_its_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with towns.up(data_dir) as town:
        assert httpx.get(f"{town.gateway}/readyz").status_code == 200
        assert town.gateway in town.text
        _shows_every_account_but_the_resident(town)
        _keeps_secrets_private(data_dir)
        if sys.platform == "linux":
            _gives_each_process_only_its_own(town)
        _refuses_a_second_start(data_dir)
        _gives_tokens(town)
        created = shequ(
            "account", "create", "wang.fang", "--role", "community_worker",
            "--area", "510182104006", "--data-dir", data_dir,
        )  # fmt: skip
        assert created.returncode == 0, created.stderr
        password = created.stdout.split()[-1]
        family = town.family()
        assert {one.name() for one in family} >= {"postgres"}
        assert town.stop(signal.SIGINT) == 0
        assert still_there(family) == []
        assert not (data_dir / "run.json").exists()

    assert sentence(shequ("token", "city", "--data-dir", data_dir)).startswith("No town runs on")

    with towns.up(data_dir) as town:
        signed_in = shequ(
            "token", "wang.fang", "--password-stdin", "--data-dir", data_dir, stdin=f"{password}\n"
        )
        assert signed_in.returncode == 0, signed_in.stderr
        assert _me(town, signed_in.stdout)["areas"] == ["510182104006"]
        family = town.family()
        town.process.kill()
        town.process.wait()
        assert still_there(family) == []


def _shows_every_account_but_the_resident(town: towns.Up) -> None:
    accounts = secrets_of(town.data_dir).accounts
    shown = {name for name, password in accounts.items() if password in town.text}
    assert shown == set(accounts) - {"resident"}


def _keeps_secrets_private(data_dir: Path) -> None:
    for path in (data_dir / "secrets" / "secrets.json", *(data_dir / "logs").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (data_dir / "secrets", data_dir / "logs", *(data_dir / name for name in SERVICES)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def _gives_each_process_only_its_own(town: towns.Up) -> None:
    credentials = secrets_of(town.data_dir)
    own = {
        "residents_api": {credentials.index_key, credentials.encryption_keys["1"]},
        "tagging_api": set[str](),
        "reports_api": set[str](),
        "gateway": {credentials.signing_key["d"]},
    }
    for name in SERVICES:
        own[name] |= {credentials.roles[name]}
        own[name] |= set(credentials.service_tokens.get(name, {}).values())
    everything = {credentials.superuser, *credentials.accounts.values()}.union(*own.values())
    for tokens in credentials.service_tokens.values():
        everything |= set(tokens.values())
    for name, pid in town.run["pids"].items():
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert {secret for secret in everything if secret in environment} == own[name], name
        foreign = [prefix(other) for other in SERVICES if other != name]
        names = [entry.partition("=")[0] for entry in environment.split("\0")]
        assert not [one for one in names if one.startswith(tuple(foreign))]
    (server,) = [one for one in town.family() if "-D" in one.cmdline() and one.name() == "postgres"]
    assert not {secret for secret in everything if secret in str(server.environ())}


def _refuses_a_second_start(data_dir: Path) -> None:
    refused = sentence(shequ("up", "--port", "0", "--data-dir", data_dir))
    assert refused == f"Another shequ is using {data_dir}; stop it first."


def _gives_tokens(town: towns.Up) -> None:
    answer = shequ("token", "village", "--data-dir", town.data_dir)
    assert answer.returncode == 0, answer.stderr
    me = _me(town, answer.stdout)
    assert me == {
        "account": "village",
        "roles": ["community_worker"],
        "areas": ["510182104006"],
        "resident_id": None,
    }
    answer = shequ("token", "platform", "--data-dir", town.data_dir)
    assert _me(town, answer.stdout)["roles"] == ["client"]
    wrong = shequ("token", "city", "--password-stdin", "--data-dir", town.data_dir, stdin="no\n")
    assert sentence(wrong).startswith("The gateway refuses")
    unknown = shequ("token", "nobody", "--data-dir", town.data_dir)
    assert sentence(unknown).startswith("The password of nobody is not known here")


def _me(town: towns.Up, output: str) -> dict[str, object]:
    token = output.splitlines()[-1]
    answer = httpx.get(f"{town.gateway}/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_dies_is_reported_and_started_again(tmp_path: Path) -> None:
    with towns.up(tmp_path / "data") as town:
        killed = town.run["pids"]["tagging_api"]
        os.kill(killed, signal.SIGKILL)
        town.until("tagging_api was ended by SIGKILL; it starts again in 0.5 s.")
        towns.wait_until(lambda: town.run["pids"]["tagging_api"] != killed)
        _until_ready(town)
        (server,) = [one for one in town.family() if "-D" in one.cmdline()]
        server.kill()
        town.until("PostgreSQL ended; it starts again.")
        _until_ready(town)
        family = town.family()
        assert town.stop(signal.SIGTERM) == 0
        assert still_there(family) == []


def _until_ready(town: towns.Up) -> None:
    towns.wait_until(lambda: httpx.get(f"{town.gateway}/readyz", timeout=10).status_code == 200)


def test_a_database_server_of_ones_own(tmp_path: Path) -> None:
    server = EmbeddedPostgres.at(tmp_path / "server", password="theirs", settings={"fsync": "off"})
    process = server.run()
    try:
        # With a parameter that only the driver knows, as hosted servers want one.
        url = f"{server.url(database='postgres')}&sslmode=prefer"
        data_dir = tmp_path / "data"
        with towns.up(data_dir, "--database-url", url) as town:
            assert not (data_dir / "postgres").exists()
            family = town.family()
            assert "postgres" not in {one.name() for one in family}
            assert town.stop() == 0
            assert still_there(family) == []
        elsewhere = sentence(shequ("migrate", "--data-dir", data_dir))
        assert elsewhere == (
            f"The data of {data_dir} is on a database server: name it with --database-url."
        )
        other = sentence(shequ("migrate", "--data-dir", tmp_path / "new", "--database-url", url))
        assert other == (
            "The data in this database was written with keys of another data directory;"
            " give that one with --data-dir."
        )
        wrong = url.replace("theirs", "guessed")
        refused = sentence(
            shequ("up", "--port", "0", "--data-dir", tmp_path / "third", "--database-url", wrong)
        )
        assert refused.endswith("refuses this user or password.")
        assert "guessed" not in refused
        _two_towns_do_not_share_roles(server, tmp_path)
    finally:
        server.stop()
        assert process.wait(10) == 0


def _two_towns_do_not_share_roles(server: EmbeddedPostgres, tmp_path: Path) -> None:
    """A second town in another database of the server; the first is in `postgres`."""
    asyncio.run(database.create_database(server.url(database="postgres"), name="second"))
    second = server.url(database="second")
    migrate = ("migrate", "--data-dir", tmp_path / "second", "--database-url", second)
    assert sentence(shequ(*migrate)) == (
        "Another town, in the database postgres, uses this server's roles;"
        " give each town a PostgreSQL server of its own."
    )
    password = secrets_of(tmp_path / "data").roles["gateway"]
    asyncio.run(_connects(server.url(role="gateway", password=password, database="postgres")))
    # The same town's copy, with the same passwords, is welcome.
    again = ("migrate", "--data-dir", tmp_path / "data", "--database-url", second)
    asyncio.run(_forget_keys(second))
    assert shequ(*again).returncode == 0
    # And so is a town whose roles' former owner is gone.
    asyncio.run(_delete_town(server.url(database="postgres")))
    asyncio.run(database.create_database(server.url(database="postgres"), name="third"))
    third = server.url(database="third")
    migrate = ("migrate", "--data-dir", tmp_path / "fourth", "--database-url", third)
    assert "in the database second" in sentence(shequ(*migrate))
    asyncio.run(_delete_town(second))
    moved = shequ(*migrate)
    assert moved.returncode == 0, moved.stderr


async def _connects(url: str) -> None:
    await (await database.connect(url)).close()


async def _forget_keys(admin_url: str) -> None:
    connection = await database.connect(admin_url)
    await connection.execute("DROP SCHEMA shequ CASCADE")
    await connection.close()


async def _delete_town(admin_url: str) -> None:
    connection = await database.connect(admin_url)
    for schema in ("shequ", *SERVICES):
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    """A data directory with a database in it, and nobody in the database."""
    data_dir = tmp_path / "data"
    assert shequ("migrate", "--data-dir", data_dir).returncode == 0
    return data_dir


def test_the_demo_town_is_not_mixed_with_people(founded: Path, data: Path) -> None:
    imported = shequ(
        "import", data / "ledger_jinsha.xlsx", "--village", "510182104006", "--data-dir", founded
    )
    assert imported.returncode == 0, imported.stderr
    told = dict(line.split() for line in imported.stdout.splitlines() if "rows_" in line)
    assert told == {"rows_total": "219", "rows_accepted": "210", "rows_rejected": "9"}
    (missing,) = (line for line in imported.stdout.splitlines() if "dwelling.missing" in line)
    assert missing.split()[1:3] == ["rejected", "1"]
    broken = founded.parent / "broken.xlsx"
    broken.write_bytes((data / "ledger_jinsha.xlsx").read_bytes()[:5000])
    refused = sentence(shequ("import", broken, "--village", "510182104006", "--data-dir", founded))
    assert refused.startswith("The import of broken.xlsx failed (ledger.damaged): The file is ")
    refused = sentence(shequ("up", "--port", "0", "--demo", "town", "--data-dir", founded))
    assert refused.startswith("The database already holds people")
    # Neither command left its database server running.
    assert not (founded / "postgres" / "postmaster.pid").exists()
