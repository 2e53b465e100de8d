"""Counts by area, kept up behind whoever writes. No row speaks of a person."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


class StatisticCount(Base):
    """How many there are in one area with one value of one dimension.

    `level` is `division` (the area is a village, or the town that keeps somebody who lives nowhere
    known), `grid` or `compound`, and the row belongs to the village with which it is counted; or
    `sum`: a larger division with all that is in it, which belongs to no village.
    """

    __tablename__ = "statistic_count"
    __table_args__ = (sa.Index("statistic_count_village_code_idx", "village_code"),)

    level: Mapped[str] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(Code, primary_key=True)
    village_code: Mapped[str] = mapped_column(Code, primary_key=True)
    dimension: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class StatisticMonth(Base):
    """Who lived in an area at the end of a month, and how many moves there were in it."""

    __tablename__ = "statistic_month"
    __table_args__ = (sa.Index("statistic_month_village_code_idx", "village_code"),)

    level: Mapped[str] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(Code, primary_key=True)
    village_code: Mapped[str] = mapped_column(Code, primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    residents: Mapped[int]
    moved_in: Mapped[int]
    moved_out: Mapped[int]


class StatisticVillage(Base):
    """Which villages there are to count, and for which day they were counted: ages go by days."""

    __tablename__ = "statistic_village"

    village_code: Mapped[str] = mapped_column(Code, primary_key=True)
    counted_on: Mapped[date | None]


class StatisticDirty(Base):
    """A village was written to. Triggers add a row in the writer's transaction (migration
    residents_0007); nothing is unique here, so that no writer waits for another.
    """

    __tablename__ = "statistic_dirty"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    village_code: Mapped[str] = mapped_column(Code)
