"""`python -m bench NAME`."""

import importlib
import sys
from pathlib import Path
from typing import Protocol


class Result(Protocol):
    ratio: float
    target: float


def main() -> int:
    names = sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
    )
    if len(sys.argv) != 2 or sys.argv[1] not in names:
        print(f"usage: python -m bench {{{','.join(names)}}}", file=sys.stderr)
        return 2
    name = sys.argv[1]
    result: Result = importlib.import_module(f"bench.{name}").run()
    print(f"{name} ratio={result.ratio:.2f} target=<={result.target:g}")
    return 0 if result.ratio <= result.target else 1


if __name__ == "__main__":
    sys.exit(main())
