"""Ledgers on their way out."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


class LedgerExport(Base):
    """An export job; whoever holds `lease_until` works on it. Its file is kept sealed for a day.

    `area` is what was asked for, `areas` what that is looked up by, `division_code` where it lies.
    """

    __tablename__ = "ledger_export"
    __table_args__ = (
        sa.Index("ledger_export_state_idx", "state", "created_at"),
        sa.Index("ledger_export_division_code_idx", "division_code", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    area: Mapped[str] = mapped_column(Code)
    division_code: Mapped[str] = mapped_column(Code)
    areas: Mapped[list[str]]
    format: Mapped[str]
    columns: Mapped[list[str]]
    reason: Mapped[str]
    requester: Mapped[str]
    requester_areas: Mapped[list[str]]
    approver: Mapped[str | None]
    # How many there were when it was asked for; then how many are in the file.
    residents: Mapped[int]
    file_key: Mapped[str] = mapped_column(server_default="")
    failure: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    finished_at: Mapped[datetime | None]
