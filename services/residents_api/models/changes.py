"""Changes that somebody asks for and somebody else decides on."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.residents_api.models.base import Base


class ChangeRequest(Base):
    """What somebody wants changed of a resident as they read them, at `resident_version`.

    `wanted` is JSON by field, sealed and bound to the row's own id; it goes when that is decided.
    `applied` names those of the fields that were changed.
    """

    __tablename__ = "change_request"
    __table_args__ = (
        sa.Index("change_request_id_idx", "id"),
        sa.Index("change_request_pending_idx", "id", postgresql_where=sa.text("state = 'pending'")),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    requested_by: Mapped[str]
    is_own: Mapped[bool]
    resident_version: Mapped[int]
    fields: Mapped[list[str]]
    applied: Mapped[list[str]]
    wanted: Mapped[bytes | None]
    state: Mapped[str]
    remark: Mapped[str | None]
    reason: Mapped[str | None]
    decided_by: Mapped[str | None]
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
