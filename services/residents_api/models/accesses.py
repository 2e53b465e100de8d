"""Who read whose plain values."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.residents_api.models.base import Base


class AccessRecord(Base):
    """Somebody read plain values of a person, or tried to."""

    __tablename__ = "access_record"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    act: Mapped[str]
    purpose: Mapped[str]
    fields: Mapped[list[str]]
    outcome: Mapped[str]
    request_id: Mapped[str]
