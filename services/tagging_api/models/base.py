"""What all tables of this service stand on."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common import database, idempotency, outbox, projection
from services.common.database import Code

metadata = database.metadata()
outbox.tables(metadata)
projection.table(metadata)
idempotency.table(metadata)


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = database.COLUMN_TYPES


class OwnersArea:
    """Columns of one of its creator's areas as a place: whoever is responsible for all sees it."""

    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, sort_order=1)
    division_code: Mapped[str] = mapped_column(Code, sort_order=1)
    grid_code: Mapped[str | None] = mapped_column(Code, sort_order=1)
    compound_id: Mapped[UUID | None] = mapped_column(sort_order=1)
