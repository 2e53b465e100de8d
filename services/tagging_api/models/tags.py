"""Labels, who bears them, and how far the rules that give them have got."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base


class TagCategory(Base):
    """A drawer for tags. The drawers are a tree; one without `parent_code` is at its top."""

    __tablename__ = "tag_category"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    parent_code: Mapped[str | None] = mapped_column(Code)
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Tag(Base):
    """A label. A word from a ledger that nobody knows is `unclassified` until an officer says.

    A tag with a `rule` is given and taken by itself. `rule_day` is the day whose evaluation its
    assignments of source `rule` are; changes of data are evaluated for that day, too, until the
    keeper moves it on. While `rule_state` is `computing`, everybody up to `rule_after` has been
    evaluated: `rule_done` of `rule_total`. Without a rule, computing takes off what it gave.
    """

    __tablename__ = "tag"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    category: Mapped[str | None]
    sensitivity: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="classified")
    # Other words by which ledgers mean this tag.
    aliases: Mapped[list[str]] = mapped_column(server_default=sa.text("'{}'"))
    # Roles; null for whoever has the permission.
    may_see: Mapped[list[str] | None]
    may_assign: Mapped[list[str] | None]
    may_target: Mapped[list[str] | None]
    archived: Mapped[bool] = mapped_column(server_default=sa.false())
    rule: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    rule_state: Mapped[str | None]
    rule_day: Mapped[date | None]
    rule_after: Mapped[UUID | None]
    rule_done: Mapped[int | None]
    rule_total: Mapped[int | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class TagAssignment(Base):
    """Somebody says that a person bears a tag. `assigned_by` is the account; null for a ledger.

    Each source says so on its own: a person bears the tag as long as one of them says so today. It
    counts on a day if that lies at or after `valid_from` and before `valid_until`, where given.
    """

    __tablename__ = "tag_assignment"
    __table_args__ = (
        sa.Index("tag_assignment_tag_code_resident_id_idx", "tag_code", "resident_id"),
        sa.Index(
            "tag_assignment_valid_from_idx",
            "valid_from",
            postgresql_where=sa.text("valid_from IS NOT NULL"),
        ),
        sa.Index(
            "tag_assignment_valid_until_idx",
            "valid_until",
            postgresql_where=sa.text("valid_until IS NOT NULL"),
        ),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_code: Mapped[str] = mapped_column(Code, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    assigned_by: Mapped[str | None]
    created_at: Mapped[datetime]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    # Why; in nobody's words but those of whoever gave the tag. Never in an event or a log.
    note: Mapped[str | None]


class TagMembershipEvent(Base):
    """Somebody came under the rule of a tag, or left it: the `n`th time, from 1.

    `day` is the day of the evaluation, which may have been caught up with later, at `at`.
    """

    __tablename__ = "tag_membership_event"
    __table_args__ = (
        sa.Index("tag_membership_event_tag_code_at_idx", "tag_code", "at", "resident_id", "n"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_code: Mapped[str] = mapped_column(Code, primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    kind: Mapped[str]
    cause: Mapped[str]
    day: Mapped[date]
    at: Mapped[datetime]


class TagKeeper(Base):
    """How far the keeper of tags is: one row. Whoever has locked it keeps; all others wait.

    `position` is how far in this service's own feed changes have been evaluated; up to `day`,
    periods of assignments that begin or end have been told.
    """

    __tablename__ = "tag_keeper"
    __table_args__ = (sa.CheckConstraint("singleton", name="singleton"),)

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=sa.true())
    position: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    day: Mapped[date | None]
