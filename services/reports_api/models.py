"""The tables of the reports.

All that belongs to one report has its id first in its key, so the tables distribute by it.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from services.common import database, idempotency, outbox, projection
from services.common.database import Code

metadata = database.metadata()
outbox.tables(metadata)
projection.table(metadata)
idempotency.table(metadata)


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = database.COLUMN_TYPES


class Report(Base):
    """What somebody reported (随手拍).

    `area` is the area as it was said; the division, grid and compound it amounts to are what the
    report is found by. `reporter` is the account; `resident_id` the person, if the account is one's.
    """

    __tablename__ = "report"
    __table_args__ = (
        sa.Index("report_created_at_id_idx", "created_at", "id"),
        sa.Index("report_division_code_created_at_id_idx", "division_code", "created_at", "id"),
        sa.Index("report_grid_code_created_at_id_idx", "grid_code", "created_at", "id"),
        sa.Index("report_compound_id_created_at_id_idx", "compound_id", "created_at", "id"),
        sa.Index("report_reporter_created_at_id_idx", "reporter", "created_at", "id"),
        sa.CheckConstraint(
            "num_nulls(longitude, latitude, coordinate_system) IN (0, 3)", name="point_is_whole"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(Code)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    category: Mapped[str]
    text: Mapped[str]
    address: Mapped[str | None]
    longitude: Mapped[float | None]
    latitude: Mapped[float | None]
    coordinate_system: Mapped[str | None]
    status: Mapped[str]
    reporter: Mapped[str]
    resident_id: Mapped[UUID | None]
    version: Mapped[int]
    created_at: Mapped[datetime]
    first_answered_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]

    replies: Mapped[list["Reply"]] = relationship(lazy="raise", order_by="Reply.id")
    photos: Mapped[list["Photo"]] = relationship(lazy="raise", order_by="Photo.n")

    def __repr__(self) -> str:
        return f"Report({self.id})"


class Reply(Base):
    """A public answer by staff. `author` is an account, and never shown; `author_role` is."""

    __tablename__ = "reply"

    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey(Report.id), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    text: Mapped[str]
    author: Mapped[str]
    author_role: Mapped[str]
    created_at: Mapped[datetime]


class Photo(Base):
    """A photo of a report, `n` counted from 1. Its bytes are in the object store."""

    __tablename__ = "photo"

    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey(Report.id), primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    object_key: Mapped[str]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]

    @property
    def url(self) -> str:
        return f"/v1/reports/{self.report_id}/photos/{self.n}"


class PhotoUpload(Base):
    """Objects that are being stored for a report that does not exist yet.

    The report's own transaction removes the row. One that is still there a day later names what a
    failed request left behind.
    """

    __tablename__ = "photo_upload"

    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    object_keys: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class KnownArea(Base):
    """An area that the register has: a division, a grid or a compound. A projection of its feed."""

    __tablename__ = "known_area"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    # Of a compound, the village it lies in.
    village_code: Mapped[str | None] = mapped_column(Code)
    generation: Mapped[int]
