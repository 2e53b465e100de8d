"""Reads of the register through the gateway, at 87,000, 870,000 and 8.7 million residents.

Every read is a city officer's: a token that is checked, masked answers, areas intersected. The
ratio is the median of the read that grew most, from the first size to the last. Beside it stands a
bare FastAPI route over asyncpg with one worker, which a read by id through one gateway and one
service worker must reach half of, or the target is not met.
"""

import asyncio
import itertools
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench._imports import Result
from bench._load import get, throughput
from bench._register import FIRST_COUNTY, Known, Register
from services.cli import premises

TARGET = 1.3
_SIZES = tuple(int(size) for size in os.environ.get("SIZES", "87000,870000,8700000").split(","))
_TIMES = 300
_SECONDS = 6.0
_CONNECTIONS = 32
_READY_SECONDS = 120
_SHEQU = (sys.executable, "-c", "from services.cli.main import app; app()")

Read = Callable[[httpx.Client, Known], httpx.Response]

_READS: Mapping[str, Read] = {
    "by id": lambda http, who: http.get(f"/v1/residents/{who.resident_id}"),
    "by number": lambda http, who: _search(http, id_number=who.id_number),
    "by phone": lambda http, who: _search(http, phone=who.phone),
    "by pinyin": lambda http, who: _search(http, pinyin=who.pinyin[:4], area=who.village),
    "page": lambda http, who: http.get(
        "/v1/residents", params={"area": who.village[:9], "page_size": 50}
    ),
}


def run() -> Result:
    medians: dict[str, list[float]] = {name: [] for name in _READS}
    share = 0.0
    with tempfile.TemporaryDirectory(prefix="shequ-bench-") as directory:
        data_dir = Path(directory) / "town"
        register, known = Register(data_dir), list[Known]()
        with _up(data_dir):
            pass  # targeting reads the empty register, and is not told of what is made in the server
        for size in _SIZES:
            started = time.perf_counter()
            known = register.grow(size) or known
            print(f"{size:,} residents made in {time.perf_counter() - started:.0f} s", flush=True)
            with _up(data_dir) as (address, token):
                _measured(address, token, known, medians)
                if size == _SIZES[0]:
                    share = _share_of_bare(data_dir, address, token, known)
            print(", ".join(f"{n} {m[-1] * 1e3:.2f} ms" for n, m in medians.items()), flush=True)
    growth = {name: found[-1] / found[0] for name, found in medians.items()}
    print("growth: " + ", ".join(f"{name} {grown:.2f}" for name, grown in growth.items()))
    print(f"throughput of a read by id: {share:.2f} of the bare route (at least 0.5)")
    return Result(max(growth.values()) if share >= 0.5 else math.inf, TARGET)


def _search(http: httpx.Client, **wanted: object) -> httpx.Response:
    return http.post("/v1/residents/search", json=wanted)


def _measured(
    address: str, token: str, known: Sequence[Known], medians: Mapping[str, list[float]]
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, headers=headers, timeout=30) as http:
        for name, read in _READS.items():
            took: list[float] = []
            for who in itertools.islice(itertools.cycle(known), _TIMES):
                started = time.perf_counter()
                answer = read(http, who)
                took.append(time.perf_counter() - started)
                answer.raise_for_status()
                if "items" in answer.json() and not answer.json()["items"]:
                    raise RuntimeError(f"{name} found nobody")
            medians[name].append(statistics.median(took[_TIMES // 6 :]))


def _share_of_bare(data_dir: Path, address: str, token: str, known: Sequence[Known]) -> float:
    ours = int(address.rpartition(":")[2])
    paths = [f"/v1/residents/{who.resident_id}" for who in known]
    with _bare(data_dir) as bare:
        rounds = [
            (
                _answered(ours, paths, token),
                _answered(bare, [path.removeprefix("/v1") for path in paths], token),
            )
            for _ in range(3)
        ]
    for through, alone in rounds:
        print(f"by id: {through:.0f}/s through the gateway, {alone:.0f}/s bare", flush=True)
    return statistics.median(through / alone for through, alone in rounds)


def _answered(port: int, paths: Sequence[str], token: str) -> float:
    requests = [get(path, token) for path in paths]
    return throughput(port, requests, connections=_CONNECTIONS, seconds=_SECONDS)


@contextmanager
def _up(data_dir: Path) -> Generator[tuple[str, str]]:
    """The town running; its gateway's address, and a city officer's token."""
    output = data_dir.with_name("output")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*_SHEQU, "up", "--port", "0", "--demo", "none", "--data-dir", data_dir],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        _until(lambda: "Ready after" in output.read_text(encoding="utf-8"))
        ports = json.loads((data_dir / "run.json").read_text())["ports"]
        yield f"http://127.0.0.1:{ports['gateway']}", _token(data_dir)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _token(data_dir: Path) -> str:
    made = ("account", "create", "reader", "--role", "city_officer", "--area", str(FIRST_COUNTY))
    subprocess.run(
        [*_SHEQU, *made, "--data-dir", data_dir, "--password-stdin"],
        input="a password for a benchmark",
        text=True,
        check=False,  # it is there already, the second time
        capture_output=True,
    )
    told = subprocess.run(
        [*_SHEQU, "token", "reader", "--data-dir", data_dir, "--password-stdin"],
        input="a password for a benchmark",
        text=True,
        check=True,
        capture_output=True,
    )
    return told.stdout.splitlines()[-1]


@contextmanager
def _bare(data_dir: Path) -> Generator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "--factory", "bench._bare:create_app"),
            *("--port", str(port), "--http", "httptools", "--loop", "uvloop", "--no-access-log"),
            *("--log-level", "warning"),
        ],
        env={**os.environ, "BENCH_DSN": asyncio.run(_dsn(data_dir))},
    )
    try:
        _until(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        process.wait()


async def _dsn(data_dir: Path) -> str:
    async with premises.opened(data_dir, None) as town:
        return town.databases["residents_api"]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("it does not start")
        time.sleep(0.1)
