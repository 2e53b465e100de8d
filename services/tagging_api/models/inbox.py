"""The inbox, and what residents want to hear of."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.tagging_api.models.base import Base


class Message(Base):
    """A message in somebody's inbox. `cause_id` (a campaign, an answer) brings one at most."""

    __tablename__ = "message"
    __table_args__ = (
        sa.UniqueConstraint("resident_id", "cause_id"),
        # For counting: a message gets into them when it is read, not when it is sent.
        sa.Index("message_read_idx", "cause_id", postgresql_where=sa.text("read_at IS NOT NULL")),
        sa.Index(
            "message_clicked_idx", "cause_id", postgresql_where=sa.text("clicked_at IS NOT NULL")
        ),
    )

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
    clicked_at: Mapped[datetime | None]


class Topic(Base):
    """A topic with a name in two languages. Nobody can opt out of a `mandatory` one."""

    __tablename__ = "topic"

    code: Mapped[str] = mapped_column(primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    mandatory: Mapped[bool] = mapped_column(server_default=sa.false())


class OptOut(Base):
    """A topic that a resident does not want to hear of, whether it is a known one or not."""

    __tablename__ = "opt_out"
    __table_args__ = (sa.Index("opt_out_topic_resident_id_idx", "topic", "resident_id"),)

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class Account(Base):
    """What the gateway's feed said: whether a resident can sign in, and nothing else."""

    __tablename__ = "account"
    __table_args__ = (
        sa.Index(
            "account_resident_id_idx",
            "resident_id",
            postgresql_where=sa.text("active AND resident_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger)
    generation: Mapped[int]
    resident_id: Mapped[UUID | None]
    active: Mapped[bool]
