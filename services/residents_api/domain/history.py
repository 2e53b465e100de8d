"""What was, from what is and what changed since: changes are undone, newest first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

CREATED, CHANGED, DELETED = "created", "changed", "deleted"

# They move with every change, and are no news by themselves.
BESIDE = frozenset({"version", "updated_at"})

Values = dict[str, Any]
# Whose row, of which table, and which of them.
Place = tuple[UUID, str, str]
Rows = dict[Place, Values]


@dataclass(frozen=True, slots=True)
class Change:
    """One row that an act created, changed or deleted; `old` is what it said before."""

    id: int
    subject_id: UUID
    entity: str
    key: str
    op: str
    at: datetime
    actor: str
    source: str
    old: Values = field(repr=False)

    @property
    def place(self) -> Place:
        return self.subject_id, self.entity, self.key


@dataclass(frozen=True, slots=True)
class Step:
    """A change between what was and what came of it; empty for a row that was not there."""

    change: Change
    before: Values = field(repr=False)
    after: Values = field(repr=False)

    @property
    def fields(self) -> list[str]:
        """What differs, in the order of the row; nothing for a row created."""
        if self.change.op == CREATED:
            return []
        if self.change.op == DELETED:
            return [name for name, value in self.before.items() if value is not None]
        return [name for name in self.change.old if name not in BESIDE]


def steps(rows: Rows, changes: Iterable[Change]) -> Iterator[Step]:
    """Undo changes, newest first, in `rows`, which says what is."""
    for change in changes:
        after = dict(rows.get(change.place, {}))
        _undo(rows, change)
        yield Step(change, dict(rows.get(change.place, {})), after)


def undo(rows: Rows, changes: Iterable[Change]) -> Rows:
    """The rows as they were before the changes, which come newest first."""
    for change in changes:
        _undo(rows, change)
    return rows


def _undo(rows: Rows, change: Change) -> None:
    if change.op == CREATED:
        rows.pop(change.place, None)
    elif change.op == DELETED:
        if change.old:  # what was of somebody erased is not known any more
            rows[change.place] = dict(change.old)
    elif change.place in rows:
        rows[change.place] |= change.old
