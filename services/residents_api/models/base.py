"""What all tables of this service stand on."""

from sqlalchemy.orm import DeclarativeBase

from services.common import database, idempotency, outbox

metadata = database.metadata()
outbox.tables(metadata)
idempotency.table(metadata)


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = database.COLUMN_TYPES
