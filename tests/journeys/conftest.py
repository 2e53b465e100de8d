"""The whole town, up as a user has it: `shequ up` with four processes and the demo's people."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

SHEQU = Path(sys.executable).parent / "shequ"
_START_SECONDS = 240


@dataclass(frozen=True, slots=True)
class RunningTown:
    """A running `shequ up`."""

    url: str
    data: Path
    clients: list[httpx.AsyncClient] = field(default_factory=list[httpx.AsyncClient])

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SHEQU_DATA_DIR": str(self.data)}

    def token(self, account: str) -> str:
        """By the command, whose last line is the token alone."""
        asked = subprocess.run(
            [SHEQU, "token", account],
            check=True,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        return asked.stdout.splitlines()[-1]

    def as_account(self, account: str) -> httpx.AsyncClient:
        return self.client(self.token(account))

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        opened = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)
        self.clients.append(opened)
        return opened

    def password(self, account: str) -> str:
        secrets: dict[str, Any] = json.loads((self.data / "secrets" / "secrets.json").read_text())
        found: str = secrets["accounts"][account]
        return found


@pytest.fixture
async def town(running_town: RunningTown) -> AsyncGenerator[RunningTown]:
    """The town, and clients that are closed after the test."""
    visited = RunningTown(running_town.url, running_town.data)
    yield visited
    for client in visited.clients:
        await client.aclose()


@pytest.fixture(scope="session")
def running_town(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningTown]:
    home = tmp_path_factory.mktemp("town")
    data, said = home / "data", home / "up.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [SHEQU, "up", "--port", "0", "--demo", "town", "--data-dir", data],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield RunningTown(_ready(process, data, said), data)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in {0, 130}


def _ready(process: "subprocess.Popen[bytes]", data: Path, said: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, said.read_text()
        run = data / "run.json"
        if run.exists():
            url = f"http://127.0.0.1:{json.loads(run.read_text())['ports']['gateway']}"
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    return url
            except httpx.HTTPError:
                pass
        time.sleep(0.2)
    raise AssertionError(said.read_text())
