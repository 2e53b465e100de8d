"""Who read whose plain values."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.residents_api.models.base import Base

# Whom a look-up was for that found nobody.
NOBODY = UUID(int=0)


class AccessRecord(Base):
    """Somebody read plain values of a person or looked them up, or tried to.

    Written once, with a keyed hash over all it says (`mac`); `sequence` and `hash` come later, from
    the sealer, and chain it to the records before it (`domain.audit`).
    """

    __tablename__ = "access_record"
    __table_args__ = (
        sa.Index("access_record_sequence_key", "sequence", unique=True),
        sa.Index("access_record_unsealed_idx", "id", postgresql_where=sa.text("sequence IS NULL")),
        sa.Index("access_record_at_idx", "at", "id"),
        sa.Index("access_record_actor_at_idx", "actor", "at", "id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    actor_areas: Mapped[list[str]] = mapped_column(server_default="{}")
    act: Mapped[str]
    purpose: Mapped[str]
    fields: Mapped[list[str]]
    outcome: Mapped[str]
    request_id: Mapped[str]
    purpose_mac: Mapped[bytes | None]
    mac: Mapped[bytes | None]
    sequence: Mapped[int | None] = mapped_column(sa.BigInteger)
    hash: Mapped[bytes | None]
