"""`shequ keys rotate` and `shequ audit verify`, on a town that is at work."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from services.cli import database
from services.cli.credentials import Credentials
from services.cli.database import DATABASE
from services.cli.postgres import EmbeddedPostgres
from services.residents_api.repository.resealing import SEALED
from tests.cli import towns
from tests.cli.towns import sentence, shequ
from tests.residents_api.people import number

VILLAGE = "510182104006"
_SHEQU = (sys.executable, "-c", "from services.cli.main import app; app()")


class Worker(threading.Thread):
    """Somebody who registers, finds and reads people all the while."""

    def __init__(self, gateway: str, token: str) -> None:
        super().__init__()
        self._client = httpx.Client(
            base_url=gateway, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        self._ending = threading.Event()
        self.known: dict[str, str] = {}
        self.refused: list[str] = []

    def run(self) -> None:
        n = 0
        while not self._ending.is_set():
            n += 1
            self._register(number("1990-05-01", n))
            self.read(next(iter(self.known)) if n % 2 else list(self.known)[-1])

    def _register(self, id_number: str) -> None:
        answer = self._client.post(
            "/v1/residents",
            json={
                "name": "张三",
                "population_type": "floating",
                "id_number": id_number,
                "phones": ["13812345678"],
            },
        )
        if answer.status_code == 201:
            self.known[answer.json()["id"]] = id_number
        else:
            self.refused.append(answer.text)

    def read(self, resident_id: str) -> None:
        """Find and reveal one, who must be whom they were registered as."""
        expected = self.known[resident_id]
        found = self._client.post("/v1/residents/search", json={"id_number": expected})
        shown = self._client.post(
            f"/v1/residents/{resident_id}/reveal",
            json={"purpose": "入户走访核实", "fields": ["id_number", "phones"]},
        )
        if found.status_code != 200 or [r["id"] for r in found.json()["items"]] != [resident_id]:
            self.refused.append(found.text)
        if shown.status_code != 200 or (shown.json()["id_number"], shown.json()["phones"]) != (
            expected,
            ["+8613812345678"],
        ):
            self.refused.append(shown.text)

    def stop(self) -> None:
        self._ending.set()
        self.join()

    def close(self) -> None:
        self._client.close()


def _keys(path: Path) -> set[str]:
    return set(json.loads(path.read_text()))


async def _key_ids(admin_url: str) -> set[int]:
    connection: Any = await database.connect(admin_url)
    try:
        used: set[int] = set()
        for of in SEALED:
            rows = await connection.fetch(
                f"SELECT DISTINCT get_byte({of.column}, 0) AS id FROM residents_api.{of.table}"  # noqa: S608
                f" WHERE {of.column} IS NOT NULL"
            )
            used |= {row["id"] for row in rows}
        return used
    finally:
        await connection.close()


async def _tampered(admin_url: str) -> None:
    connection: Any = await database.connect(admin_url)
    await connection.execute(
        "UPDATE residents_api.access_record SET actor = 'x' WHERE sequence = 2"
    )
    await connection.close()


def test_keys_rotate_and_the_audit_is_verified_while_the_town_is_at_work(tmp_path: Path) -> None:
    data_dir, ledger = tmp_path / "data", tmp_path / "ledger.csv"
    ring = data_dir / "residents_api" / "keys.json"
    secrets = data_dir / "secrets" / "secrets.json"
    at = ("--data-dir", data_dir)
    with towns.up(data_dir) as town:
        made = shequ("synth", ledger, "--residents", "2500", "--village", VILLAGE)
        assert made.returncode == 0, made.stderr
        imported = shequ("import", ledger, "--village", VILLAGE, *at)
        assert imported.returncode == 0, imported.stderr
        token = shequ("token", "village", *at).stdout.splitlines()[-1]
        worker = Worker(town.gateway, token)
        worker.start()
        try:
            towns.wait_until(lambda: len(worker.known) > 3)
            _killed(data_dir, ring)
            rotated = shequ("keys", "rotate", *at)
            assert rotated.returncode == 0, rotated.stderr
            assert rotated.stdout.splitlines()[-1] == (
                "Everything is encrypted with key 2; no older key is left."
            )
            so_far = len(worker.known)
            towns.wait_until(lambda: len(worker.known) > so_far + 3)
        finally:
            worker.stop()
        assert worker.refused == []
        assert _keys(ring) == {"2"} == set(json.loads(secrets.read_text())["encryption_keys"])
        assert ring.stat().st_mode & 0o777 == secrets.stat().st_mode & 0o777 == 0o600
        for resident_id in worker.known:
            worker.read(resident_id)
        worker.close()
        assert worker.refused == []
        admin_url = _admin_url(data_dir)
        assert asyncio.run(_key_ids(admin_url)) == {2}
        _verifies(town, admin_url)
        assert town.stop() == 0
    # The town is the same, and starts with its new key; a key more is no matter.
    again = shequ("keys", "rotate", *at)
    assert again.returncode == 0, again.stderr
    assert _keys(ring) == {"3"}
    with towns.up(data_dir) as town:
        token = shequ("token", "village", *at).stdout.splitlines()[-1]
        late = Worker(town.gateway, token)
        late.known = worker.known
        for resident_id in list(worker.known)[:5]:
            late.read(resident_id)
        late.close()
        assert late.refused == []


def _killed(data_dir: Path, ring: Path) -> None:
    """A rotation that is killed as soon as it has begun."""
    process = subprocess.Popen([*_SHEQU, "keys", "rotate", "--data-dir", str(data_dir)])
    towns.wait_until(lambda: ring.exists() and _keys(ring) == {"1", "2"})
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert _keys(ring) == {"1", "2"}


def _admin_url(data_dir: Path) -> str:
    kept = Credentials.at(data_dir / "secrets" / "secrets.json")
    server = EmbeddedPostgres.at(data_dir / "postgres", password=kept.superuser)
    return server.url(database=DATABASE)


def _verifies(town: towns.Up, admin_url: str) -> None:
    at = ("--data-dir", town.data_dir)
    heads = town.data_dir / "residents_api" / "audit" / "heads.log"
    towns.wait_until(heads.exists)
    whole = shequ("audit", "verify", *at)
    assert whole.returncode == 0, whole.stdout
    assert whole.stdout.splitlines()[-1] == "The audit of reading is whole."
    asyncio.run(_tampered(admin_url))
    altered = shequ("audit", "verify", *at)
    assert sentence(altered) == "The audit of reading is not whole: 1 faults."
    assert altered.stdout.startswith("record 2 (")
    assert "is not what the service wrote" in altered.stdout
