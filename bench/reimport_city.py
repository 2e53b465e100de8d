"""The same city once more with one row in a hundred changed, as a ratio to its first import."""

from pathlib import Path

from bench._imports import Memory, Register, Result, city, serving

TARGET = 0.5
_ONE_IN = 100


def run() -> Result:
    with serving() as (server, here):
        ledgers = city(here / "ledgers")
        register = Register(server, "city", here / "kept")
        first = register.imported(ledgers)
        changed = sum(_changed(path) for path in ledgers.values())
        with Memory().watched() as memory:
            second = register.imported(ledgers)
    print(
        f"first {first:.1f} s, again with {changed:,} rows changed {second:.1f} s,"
        f" memory {memory.peak / 1e6:.0f} MB"
    )
    return Result(second / first, TARGET)


def _changed(path: Path) -> int:
    """Give one row in a hundred another phone; how many those are."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    at = header.split(",").index("联系电话")
    some = range(0, len(rows), _ONE_IN)
    for n in some:
        cells = rows[n].split(",")
        cells[at] = f"139{n:08d}"
        rows[n] = ",".join(cells)
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return len(some)
