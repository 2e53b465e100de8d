"""Saved audiences, and who is in the frozen ones."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.tagging_api.models.base import Base, OwnersArea


class Audience(Base):
    """A rule with a name; a frozen one is whom the rule found at `frozen_at`, within `areas`.

    `tags` are those that the rule asks for, through other audiences as well: each may become more
    sensitive. `sensitivity` is the least that it stays at: of a frozen one, that of its tags when it
    was made; of another, the highest of the frozen ones in it.
    """

    __tablename__ = "audience"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    rule: Mapped[dict[str, Any]]
    areas: Mapped[list[str]]
    created_by: Mapped[str]
    sensitivity: Mapped[str]
    tags: Mapped[list[str]]
    # The audiences that the rule names itself.
    uses: Mapped[list[UUID]] = mapped_column(ARRAY(sa.Uuid))
    frozen_at: Mapped[datetime | None]
    # A roaring bitmap of resident numbers: `audience_member` once more, as one value.
    members: Mapped[bytes | None] = mapped_column(deferred=True)
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AudienceArea(OwnersArea, Base):
    __tablename__ = "audience_area"

    audience_id: Mapped[UUID] = mapped_column(primary_key=True)


class AudienceMember(Base):
    """Somebody in a frozen audience."""

    __tablename__ = "audience_member"
    __table_args__ = (
        sa.Index("audience_member_audience_id_resident_id_idx", "audience_id", "resident_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    audience_id: Mapped[UUID] = mapped_column(primary_key=True)
