"""What was before. Triggers write it (migration residents_0004), so no way to write goes past it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.residents_api.models.base import Base


class HistoryAct(Base):
    """What one transaction did: by whom, by what way (`api`, `import:<id>`), and when."""

    __tablename__ = "history_act"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    source: Mapped[str]


class History(Base):
    """One row that an act created, changed or deleted.

    `subject_id` is the resident or dwelling whose history it is, `entity` the table, `key` the row
    among those of the subject. `old` holds what the changed columns said before, or all columns of
    a deleted row; a number or phone stands in `sealed`, as it stood in its table. What is created
    needs no values: they follow from the present ones and the changes since.
    """

    __tablename__ = "history"
    __table_args__ = (
        sa.Index(
            "history_deleted_idx", "entity", "key", postgresql_where=sa.text("op = 'deleted'")
        ),
        sa.Index(
            "history_left_dwelling_idx",
            sa.text("(old ->> 'dwelling_id')"),
            postgresql_where=sa.text("entity = 'occupancy' AND old IS NOT NULL"),
        ),
        sa.Index(
            "history_sealed_idx",
            "subject_id",
            "id",
            postgresql_where=sa.text("sealed IS NOT NULL"),
        ),
    )

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    act_id: Mapped[int] = mapped_column(sa.BigInteger)
    entity: Mapped[str]
    key: Mapped[str]
    op: Mapped[str]
    old: Mapped[dict[str, Any] | None]
    sealed: Mapped[bytes | None]

    def __repr__(self) -> str:
        return f"History({self.subject_id}, {self.id})"
