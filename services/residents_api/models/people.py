"""People, their numbers and phones, and where they live."""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.common.database import Code
from services.residents_api.models.base import Base


class Resident(Base):
    """A person. `area_code` is the division or grid that keeps the record of one who lives nowhere
    known, `keeper_compound_id` the compound, if it was its worker who registered them.
    """

    __tablename__ = "resident"
    __table_args__ = (
        sa.Index("resident_name_idx", "name"),
        sa.Index("resident_name_pinyin_idx", "name_pinyin"),
        sa.Index("resident_name_initials_idx", "name_initials"),
        sa.Index("resident_birth_date_idx", "birth_date"),
        sa.Index("resident_area_code_id_idx", "area_code", "id"),
        sa.Index(
            "resident_keeper_compound_id_idx",
            "keeper_compound_id",
            "id",
            postgresql_where=sa.text("keeper_compound_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    area_code: Mapped[str] = mapped_column(Code)
    keeper_compound_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(Code)
    name_pinyin: Mapped[str] = mapped_column(Code)
    name_initials: Mapped[str] = mapped_column(Code)
    sex: Mapped[str | None]
    birth_date: Mapped[date | None]
    nationality: Mapped[str | None]
    population_type: Mapped[str | None]
    ethnicity: Mapped[str | None]
    education: Mapped[str | None]
    marital_status: Mapped[str | None]
    political_status: Mapped[str | None]
    occupation: Mapped[str | None]
    employer: Mapped[str | None]
    registered_address: Mapped[str | None]
    note: Mapped[str | None]
    # One of schemas.people.ResidentState; `merged_into` says into whom.
    state: Mapped[str] = mapped_column(server_default="active")
    merged_into: Mapped[UUID | None]
    # The day of death, or of moving out; and where to.
    state_since: Mapped[date | None]
    destination: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())

    def __repr__(self) -> str:
        return f"Resident({self.id})"


class IdentityDocument(Base):
    """An identity number of any kind, encrypted, under the keyed hash by which it is found.

    The hash goes over the kind and, of a passport, over who issued it: a number has one owner.
    """

    __tablename__ = "identity_document"

    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(server_default="resident_id_card")
    number: Mapped[bytes]
    status: Mapped[str] = mapped_column(server_default="valid")
    issuing_country: Mapped[str | None]


class Phone(Base):
    """A phone number, encrypted. `ordinal` keeps the order in which they were said."""

    __tablename__ = "phone"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    blind_index: Mapped[bytes] = mapped_column(primary_key=True, index=True)
    ordinal: Mapped[int] = mapped_column(sa.SmallInteger)
    number: Mapped[bytes]


class Occupancy(Base):
    """Who lives where (人房关系). It repeats the dwelling's areas, by which it is found.

    `end_date` is the first day on which the person no longer lives there. One that was rejected ends
    with the day of its rejection: so no unchanged ledger brings it back.
    """

    __tablename__ = "occupancy"
    __table_args__ = (
        sa.Index("occupancy_id_idx", "id"),
        sa.Index("occupancy_dwelling_id_idx", "dwelling_id"),
        sa.Index("occupancy_division_code_resident_id_idx", "division_code", "resident_id"),
        sa.Index("occupancy_compound_id_resident_id_idx", "compound_id", "resident_id"),
        sa.Index("occupancy_grid_code_resident_id_idx", "grid_code", "resident_id"),
        sa.Index(
            "occupancy_current_key",
            "resident_id",
            "dwelling_id",
            unique=True,
            postgresql_where=sa.text("end_date IS NULL"),
        ),
        sa.Index(
            "occupancy_pending_idx",
            "division_code",
            "resident_id",
            "id",
            postgresql_where=sa.text("state = 'pending'"),
        ),
        sa.CheckConstraint("end_date >= start_date", name="ends_after_start"),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    dwelling_id: Mapped[UUID]
    division_code: Mapped[str] = mapped_column(Code)
    grid_code: Mapped[str | None] = mapped_column(Code)
    compound_id: Mapped[UUID | None]
    tenure: Mapped[str | None]
    relation_to_head: Mapped[str | None]
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]
    state: Mapped[str] = mapped_column(server_default="approved")
    lease_end_date: Mapped[date | None]
    rejection_reason: Mapped[str | None]


class ResidentLabel(Base):
    """A label (标签) that a ledger gave a person. What it means is the tagging service's affair."""

    __tablename__ = "resident_label"

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)


class Guardian(Base):
    """Who answers for a minor (监护人): a resident or, sealed, a name and a phone.

    `contact` is JSON, bound to the row's own id.
    """

    __tablename__ = "guardian"
    __table_args__ = (
        sa.CheckConstraint("num_nulls(guardian_id, contact) = 1", name="is_somebody"),
        sa.Index(
            "guardian_resident_id_guardian_id_key",
            "resident_id",
            "guardian_id",
            unique=True,
            postgresql_where=sa.text("guardian_id IS NOT NULL"),
        ),
        sa.Index(
            "guardian_guardian_id_idx",
            "guardian_id",
            postgresql_where=sa.text("guardian_id IS NOT NULL"),
        ),
    )

    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    guardian_id: Mapped[UUID | None]
    contact: Mapped[bytes | None]
    relation: Mapped[str]
