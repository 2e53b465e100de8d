"""Let something happen in the middle of a request: right before or after one of its statements."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.util import await_only


@contextmanager
def interrupted(
    when: Literal["before", "after"], statement: str, act: Callable[[], Awaitable[Any]]
) -> Generator[None]:
    """Once, at the first statement of any engine that contains `statement`, await `act()`."""
    acted = False

    def on_statement(_c: Any, _cursor: Any, executed: str, *_: Any) -> None:
        nonlocal acted
        if not acted and statement in " ".join(executed.split()):
            acted = True
            await_only(act())

    name = f"{when}_cursor_execute"
    event.listen(Engine, name, on_statement)
    try:
        yield
    finally:
        event.remove(Engine, name, on_statement)
    assert acted, f"nothing said {statement}"
