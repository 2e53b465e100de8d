"""The demo town's import, as a ratio to psql's `\\copy` of the same final rows.

The baseline copies what the import left (register, statements, row outcomes and feed events) into
empty tables with the same indexes, on the same server with the settings it ships with. The import
reads CSV files, checks, encrypts and merges; making the files is not counted.
"""

from datetime import UTC, datetime
from pathlib import Path

from bench._imports import Memory, Register, Result, serving
from services.cli.synth import housing, ledger
from services.cli.synth.town import town
from services.residents_api.service import areas

TARGET = 10.0
_ROUNDS = 3
_TOWN = "510182104"


def run() -> Result:
    imported: list[float] = []
    copied: list[float] = []
    with serving() as (server, here):
        ledgers = _ledgers(here / "ledgers")
        for n in range(1, _ROUNDS + 1):
            register = Register(server, f"full_{n}", here / f"kept_{n}")
            with Memory().watched() as memory:
                imported.append(register.imported(ledgers))
            copied.append(register.copied(server, f"empty_{n}", here / f"copy_{n}"))
            print(
                f"round {n}: import {imported[-1]:.2f} s, copy {copied[-1]:.2f} s,"
                f" importing processes {memory.peak / 1e6:.0f} MB"
            )
    return Result(min(imported) / min(copied), TARGET)


def _ledgers(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    made = town(
        today=datetime.now(UTC).date(),
        villages=housing.read_villages(areas.DIVISIONS, within=_TOWN),
    )
    paths: dict[str, Path] = {}
    for village, rows in made.ledgers.items():
        paths[village] = folder / f"{village}.csv"
        ledger.write_csv(paths[village], rows)
    return paths
