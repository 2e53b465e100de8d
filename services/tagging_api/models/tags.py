"""Labels, and who bears them."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class Tag(Base):
    """A label. A word from a ledger that nobody knows is `unclassified` until an officer says."""

    __tablename__ = "tag"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    category: Mapped[str | None]
    sensitivity: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="classified")
    # Other words by which ledgers mean this tag.
    aliases: Mapped[list[str]] = mapped_column(server_default=sa.text("'{}'"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class TagAssignment(Base):
    """A person bears a tag. `assigned_by` is the account; null for a ledger."""

    __tablename__ = "tag_assignment"
    __table_args__ = (
        sa.Index("tag_assignment_tag_code_resident_id_idx", "tag_code", "resident_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_code: Mapped[str] = mapped_column(Code, primary_key=True)
    source: Mapped[str]
    assigned_by: Mapped[str | None]
    created_at: Mapped[datetime]
