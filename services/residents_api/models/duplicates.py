"""Who may be one person twice, and what became one."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


class DuplicateCandidate(Base):
    """Two residents, the smaller id first, who may be one. `reasons` name what they have in common,
    never a value.
    """

    __tablename__ = "duplicate_candidate"
    __table_args__ = (
        sa.Index("duplicate_candidate_id_key", "id", unique=True),
        sa.Index("duplicate_candidate_other_id_idx", "other_id"),
        sa.Index("duplicate_candidate_state_score_idx", "state", "score", "id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    other_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    score: Mapped[int] = mapped_column(sa.SmallInteger)
    reasons: Mapped[list[str]]
    state: Mapped[str]
    found_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]


class ResidentMerge(Base):
    """One merge: `resident_id` is the survivor. `moved` says what became the survivor's, and what
    the survivor's fields said before: all that it takes to undo it.
    """

    __tablename__ = "resident_merge"
    __table_args__ = (
        sa.Index("resident_merge_id_key", "id", unique=True),
        sa.Index("resident_merge_merged_id_idx", "merged_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    merged_id: Mapped[UUID]
    candidate_id: Mapped[UUID]
    moved: Mapped[dict[str, Any]]
    merged_by: Mapped[str]
    merged_at: Mapped[datetime]
    undone_by: Mapped[str | None]
    undone_at: Mapped[datetime | None]

    def __repr__(self) -> str:
        return f"ResidentMerge({self.id})"


class DuplicateScan(Base):
    """Up to which position of the own feed residents were compared."""

    __tablename__ = "duplicate_scan"
    __table_args__ = (sa.CheckConstraint("singleton", name="singleton"),)

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=sa.true())
    position: Mapped[int] = mapped_column(sa.BigInteger)


class DuplicateScanVillage(Base):
    """A village whose people are to be compared, because somebody asked for it."""

    __tablename__ = "duplicate_scan_village"

    village_code: Mapped[str] = mapped_column(Code, primary_key=True)
