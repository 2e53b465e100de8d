"""The tables of labels and targeting.

`resident`, `resident_place`, `ledger_label` and `compound` are derived from the register's feed, and
hold what rules ask and nothing else: no name, number or phone. Every large table has `resident_id`
(or its own id) first in its primary key, so the same schema distributes by those columns.
"""

from datetime import date, datetime
from typing import Any
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


class Resident(Base):
    """What rules may ask about a person. `number` is dense and never given twice."""

    __tablename__ = "resident"
    __table_args__ = (sa.Index("resident_birth_date_idx", "birth_date"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(sa.Identity(always=True))
    version: Mapped[int] = mapped_column(sa.BigInteger)
    generation: Mapped[int]
    sex: Mapped[str | None]
    birth_date: Mapped[date | None]
    population_type: Mapped[str | None]
    ethnicity: Mapped[str | None]
    education: Mapped[str | None]
    marital_status: Mapped[str | None]
    political_status: Mapped[str | None]


class ResidentPlace(Base):
    """A place where a person lives, has just moved in, or will. `n` counts from 0.

    It counts on a day if that lies at or after `start_date` and before `end_date`, where given.
    """

    __tablename__ = "resident_place"
    __table_args__ = (
        sa.Index("resident_place_division_code_resident_id_idx", "division_code", "resident_id"),
        sa.Index("resident_place_grid_code_resident_id_idx", "grid_code", "resident_id"),
        sa.Index("resident_place_compound_id_resident_id_idx", "compound_id", "resident_id"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    tenure: Mapped[str | None]
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]


class Compound(Base):
    """Which village a compound belongs to: its id does not say."""

    __tablename__ = "compound"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
    generation: Mapped[int]


class LedgerLabel(Base):
    """A label word that a ledger has given a person, as written.

    Only a pair seen for the first time leads to an assignment: one that an officer removed does not
    come back with the next change of something else.
    """

    __tablename__ = "ledger_label"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)


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


class Campaign(Base):
    """A message to an audience. `recipients` is null until the audience has been taken.

    `areas` are the creator's: the audience is always intersected with them.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        sa.Index("campaign_sending_idx", "id", postgresql_where=sa.text("state = 'sending'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="draft")
    title: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]
    rule: Mapped[dict[str, Any]]
    areas: Mapped[list[str]]
    created_by: Mapped[str]
    recipients: Mapped[int | None]
    delivered: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class CampaignArea(Base):
    """One of the creator's areas as a place: whoever is responsible for all of them sees it."""

    __tablename__ = "campaign_area"

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]


class Delivery(Base):
    """A recipient of a campaign: the audience as it was when it was taken."""

    __tablename__ = "delivery"
    __table_args__ = (
        sa.Index(
            "delivery_waiting_idx",
            "campaign_id",
            "resident_id",
            postgresql_where=sa.text("delivered_at IS NULL"),
        ),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    delivered_at: Mapped[datetime | None]


class Message(Base):
    """A message in somebody's inbox. `cause_id` (a campaign, an answer) brings one at most."""

    __tablename__ = "message"
    __table_args__ = (sa.UniqueConstraint("resident_id", "cause_id"),)

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    # Version 7: in the order of time, and so is the inbox.
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    cause_id: Mapped[UUID]
    title: Mapped[str]
    body: Mapped[str]
    topic: Mapped[str | None]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
