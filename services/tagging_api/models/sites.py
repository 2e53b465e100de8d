"""Plans of where to put a service."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class SitePlan(Base):
    """A plan as it was made: what was asked, and what came out. Its area is its place."""

    __tablename__ = "site_plan"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    area: Mapped[str] = mapped_column(Code)
    division_code: Mapped[str] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    sensitivity: Mapped[str]
    tags: Mapped[list[str]]
    asked: Mapped[dict[str, Any]]
    found: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
