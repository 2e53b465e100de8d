"""Surveys, and the visits by which they are answered."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.tagging_api.models.base import Base, OwnersArea

_Nullable = JSONB(none_as_null=True)


class Survey(Base):
    """Questions to a random sample of an audience.

    `areas` are the creator's: the audience is always intersected with them. What the draw found is
    null before it: `population`, how many could have been drawn; `predicted_count`, how many of them
    the data says would answer as predicted.
    """

    __tablename__ = "survey"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    name: Mapped[str]
    topic: Mapped[str | None]
    rule: Mapped[dict[str, Any]]
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    predicted: Mapped[dict[str, Any] | None] = mapped_column(_Nullable)
    tag_if: Mapped[dict[str, Any] | None] = mapped_column(_Nullable)
    areas: Mapped[list[str]]
    # The highest of the rules, and the tags they ask for: one of these may become more sensitive.
    sensitivity: Mapped[str]
    tags: Mapped[list[str]]
    population: Mapped[int | None]
    sample: Mapped[int | None]
    seed: Mapped[int | None]
    predicted_count: Mapped[int | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    drawn_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class SurveyArea(OwnersArea, Base):
    __tablename__ = "survey_area"

    survey_id: Mapped[UUID] = mapped_column(primary_key=True)


class Visit(Base):
    """Somebody who was drawn, and where they lived then. Without `assignee` anybody there may go."""

    __tablename__ = "visit"
    __table_args__ = (
        sa.Index("visit_survey_id_id_idx", "survey_id", "id"),
        sa.Index("visit_resident_id_id_idx", "resident_id", "id"),
        sa.Index("visit_assignee_id_idx", "assignee", "id"),
        sa.Index("visit_division_code_id_idx", "division_code", "id"),
        sa.Index("visit_grid_code_id_idx", "grid_code", "id"),
        sa.Index("visit_compound_id_id_idx", "compound_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    survey_id: Mapped[UUID]
    resident_id: Mapped[UUID]
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    assignee: Mapped[UUID | None]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    # Times that somebody came to the door.
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, server_default="0")
    answers: Mapped[dict[str, Any] | None] = mapped_column(_Nullable)
    visited_by: Mapped[str | None]
    visited_at: Mapped[datetime | None]
