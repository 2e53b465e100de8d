"""The statements that a request says, without those of the work in the background."""

from collections.abc import Generator
from contextlib import contextmanager

from tests.queries import QueryLog

# The look for imports to claim and for events that nobody numbered.
_BACKGROUND = ("UPDATE ledger_import", "UPDATE ONLY ledger_import", "outbox", "feed_head")


@contextmanager
def own_statements() -> Generator[list[str]]:
    """The list is complete once the block has ended."""
    found: list[str] = []
    with QueryLog() as queries:
        yield found
    found += [
        statement
        for statement in queries.statements
        if not any(words in statement for words in _BACKGROUND)
    ]
