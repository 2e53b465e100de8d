"""Count the statements that reach PostgreSQL, where their number is a promise."""

from contextvars import ContextVar
from types import TracebackType
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


_LOG: ContextVar["QueryLog | None"] = ContextVar("query_log", default=None)


class QueryLog:
    """`with QueryLog() as queries: ...` then `len(queries)`: the statements said from inside of it.

    All engines count. What runs in the background was started outside, and is not counted.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __len__(self) -> int:
        return len(self.statements)

    def __enter__(self) -> "QueryLog":
        event.listen(Engine, "before_cursor_execute", self._note)
        self._outer = _LOG.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        _LOG.reset(self._outer)
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if _LOG.get() is self and not statement.lstrip().upper().startswith(_NOT_COUNTED):
            self.statements.append(statement)
