"""A city's import (870,000 residents), as a ratio to psql's `\\copy` of the same final rows.

Every village's ledger is a CSV file; they are checked, encrypted and merged, with statements,
history and feed events. The importing processes may hold 1.5 GB at most (PSS), or it is not met.
"""

import math

from bench._imports import Memory, Register, Result, city, serving

TARGET = 6.0
_MOST_BYTES = 1.5e9


def run() -> Result:
    with serving() as (server, here):
        ledgers = city(here / "ledgers")
        register = Register(server, "full", here / "kept")
        with Memory().watched() as memory:
            imported = register.imported(ledgers)
        copied = register.copied(server, "empty", here / "copy")
    print(
        f"import {imported:.1f} s, copy {copied:.1f} s, memory {memory.peak / 1e6:.0f} MB of 1500"
    )
    return Result(imported / copied if memory.peak <= _MOST_BYTES else math.inf, TARGET)
