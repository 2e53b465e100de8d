"""Residents by id, by area, by what is known of them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, orm, select

from services.common import areas, pagination
from services.common.areas import Area
from services.common.database import ReadSession
from services.common.pagination import PageRequest
from services.residents_api.domain.identity_documents import DocumentKind, DocumentStatus
from services.residents_api.models import (
    IdentityDocument,
    Occupancy,
    Phone,
    Resident,
)


def current(on: date) -> ColumnElement[bool]:
    """Approved occupancies that have not ended by the day `on`; a start to come counts as well."""
    return and_(
        Occupancy.state == "approved",
        or_(Occupancy.end_date.is_(None), Occupancy.end_date > on),
    )


def _lived_in(within: Sequence[Area]) -> ColumnElement[bool]:
    return areas.within(
        within,
        division=Occupancy.division_code,
        grid=Occupancy.grid_code,
        compound=Occupancy.compound_id,
    )


def visible(within: Sequence[Area], *, on: date, erased: bool = False) -> ColumnElement[bool]:
    """Residents whom the areas contain: by where they live or, living nowhere known, by who keeps
    their record. What is left of an erased or merged one is for those alone who see who read it.
    """
    inside = or_(_lives(on, _lived_in(within)), _kept(within, on=on))
    return inside if erased else and_(_IS_SOMEBODY, inside)


# What is left of somebody erased is not a person, and who was merged is another one.
_IS_SOMEBODY = Resident.state.not_in(("erased", "merged"))


def _lives(on: date, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a resident lives somewhere.

    A subquery with a limit is looked up for each resident. Of an EXISTS PostgreSQL often makes one
    hash of all occupancies there are, and that for a handful of residents.
    """
    occupancy = select(Occupancy.id).where(
        Occupancy.resident_id == Resident.id, current(on), *where
    )
    return occupancy.correlate(Resident).limit(1).scalar_subquery().is_not(None)


def _kept(within: Sequence[Area], *, on: date) -> ColumnElement[bool]:
    """Living nowhere known, with the record kept within the areas."""
    return and_(kept_within(within), ~_lives(on))


def kept_within(within: Sequence[Area]) -> ColumnElement[bool]:
    """Residents whose record is kept by a division, grid or compound within the areas."""
    return areas.within(
        within,
        division=Resident.area_code,
        grid=Resident.area_code,
        compound=Resident.keeper_compound_id,
    )


async def resident(
    session: ReadSession,
    resident_id: UUID,
    *,
    within: Sequence[Area],
    on: date,
    lock: bool = False,
    erased: bool = False,
) -> Resident | None:
    statement = select(Resident).where(
        Resident.id == resident_id, visible(within, on=on, erased=erased)
    )
    if lock:
        statement = statement.with_for_update(of=Resident)
    return await session.scalar(statement)


async def residents(
    session: ReadSession, ids: Collection[UUID], *, within: Sequence[Area], on: date
) -> dict[UUID, Resident]:
    """Those of the residents whom the areas contain."""
    statement = select(Resident).where(Resident.id.in_(ids), visible(within, on=on))
    return {row.id: row for row in await session.scalars(statement)}


async def residents_in(
    session: ReadSession, *, within: Sequence[Area], on: date, page: PageRequest
) -> tuple[Sequence[Resident], str | None]:
    """A page of those whom the areas contain, ordered by village and id.

    Those who live there stand at the village of their first dwelling of several: moving into
    another one neither repeats nor skips them. Among them stand those who live nowhere known, at
    the division or grid that keeps their record.
    """
    after = page.after(tuple[str, UUID])
    there = await _living_in(session, within=within, on=on, after=after, size=page.size)
    # Hardly anybody lives nowhere: without an end the search would go through the whole area.
    until = there[-1][:2] if len(there) > page.size else None
    kept = await _kept_by(session, within=within, on=on, after=after, until=until, size=page.size)
    rows = sorted([*there, *kept], key=lambda row: row[:2])
    shown, token = pagination.cut(rows, page, keys=lambda row: row[:2])
    return [row[2] for row in shown], token


_Placed = Row[str, UUID, Resident]


async def _living_in(
    session: ReadSession,
    *,
    within: Sequence[Area],
    on: date,
    after: tuple[str, UUID] | None,
    size: int,
) -> Sequence[_Placed]:
    other = orm.aliased(Occupancy)
    # Looked up for each row, as in `_lives`.
    first = (
        select(other.id)
        .where(
            other.resident_id == Occupancy.resident_id,
            other.state == "approved",
            or_(other.end_date.is_(None), other.end_date > on),
            areas.within(
                within,
                division=other.division_code,
                grid=other.grid_code,
                compound=other.compound_id,
            ),
        )
        .order_by(other.id)
        .limit(1)
        .scalar_subquery()
    )
    found = pagination.keyset(
        select(Occupancy.division_code, Occupancy.resident_id).where(
            _lived_in(within), current(on), Occupancy.id == first
        ),
        Occupancy.division_code,
        Occupancy.resident_id,
        after=after,
        size=size,
    ).subquery()
    statement = (
        select(found.c.division_code, found.c.resident_id, Resident)
        .join(Resident, Resident.id == found.c.resident_id)
        .order_by(found.c.division_code, found.c.resident_id)
    )
    return (await session.execute(statement)).all()


async def _kept_by(
    session: ReadSession,
    *,
    within: Sequence[Area],
    on: date,
    after: tuple[str, UUID] | None,
    until: tuple[str, UUID] | None,
    size: int,
) -> Sequence[_Placed]:
    statement = pagination.keyset(
        select(Resident.area_code, Resident.id, Resident).where(_IS_SOMEBODY, _kept(within, on=on)),
        Resident.area_code,
        Resident.id,
        after=after,
        size=size,
    )
    if until is not None:
        statement = statement.where(sa.tuple_(Resident.area_code, Resident.id) <= until)
    return (await session.execute(statement)).all()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is looked for: normalised values and blind indexes, all of which must hold."""

    name: str | None = field(default=None, repr=False)
    pinyin: str | None = field(default=None, repr=False)
    number_index: bytes | None = None
    phone_index: bytes | None = None
    document_index: bytes | None = None

    @property
    def exact(self) -> list[str]:
        """By which of the values that are one person's they are looked for."""
        said = {
            "id_number": self.number_index,
            "phone": self.phone_index,
            "identity_document": self.document_index,
        }
        return [name for name, index in said.items() if index is not None]

    @property
    def documents(self) -> list[bytes]:
        """The blind indexes of the documents that they must hold."""
        said = (self.number_index, self.document_index)
        return [index for index in said if index is not None]


async def holders(session: ReadSession, wanted: Wanted) -> Sequence[UUID]:
    """Whose number or phone it is, wherever they live; at most a page of them."""
    found = sa.union(
        select(IdentityDocument.resident_id).where(
            IdentityDocument.blind_index.in_(wanted.documents)
        ),
        select(Phone.resident_id).where(Phone.blind_index == wanted.phone_index),
    ).limit(pagination.MAX_PAGE_SIZE)
    return (await session.scalars(found)).all()


async def search(
    session: ReadSession, wanted: Wanted, *, within: Sequence[Area], on: date, page: PageRequest
) -> tuple[Sequence[Resident], str | None]:
    statement: Select[Any] = select(Resident).where(visible(within, on=on))
    if wanted.name is not None:
        statement = statement.where(_starts_with(Resident.name, wanted.name))
    if wanted.pinyin is not None:
        statement = statement.where(
            or_(
                _starts_with(Resident.name_pinyin, wanted.pinyin),
                _starts_with(Resident.name_initials, wanted.pinyin),
            )
        )
    for index in wanted.documents:
        statement = statement.where(
            Resident.id.in_(
                select(IdentityDocument.resident_id).where(IdentityDocument.blind_index == index)
            )
        )
    if wanted.phone_index is not None:
        statement = statement.where(
            Resident.id.in_(
                select(Phone.resident_id).where(Phone.blind_index == wanted.phone_index)
            )
        )
    statement = pagination.keyset(
        statement, Resident.id, after=page.after(tuple[UUID]), size=page.size
    )
    rows = (await session.scalars(statement)).all()
    return pagination.cut(rows, page, keys=lambda row: (row.id,))


def _starts_with(column: orm.InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    # Of columns in "C" order PostgreSQL makes an index range of this, whatever the last character.
    return column.op("^@", is_comparison=True)(prefix)


async def documents(
    session: ReadSession, ids: Collection[UUID]
) -> dict[UUID, list[IdentityDocument]]:
    """Documents of all kinds, those that are replaced among them."""
    found: dict[UUID, list[IdentityDocument]] = defaultdict(list)
    statement = select(IdentityDocument).where(IdentityDocument.resident_id.in_(ids))
    statement = statement.order_by(IdentityDocument.kind, IdentityDocument.blind_index)
    for row in await session.scalars(statement):
        found[row.resident_id].append(row)
    return found


async def identity_cards(
    session: ReadSession, ids: Collection[UUID]
) -> dict[UUID, IdentityDocument]:
    """By resident, the document that has their identity number."""
    statement = select(IdentityDocument).where(IdentityDocument.resident_id.in_(ids))
    rows = (await session.scalars(statement)).all()
    return {row.resident_id: row for row in rows if is_card(row)}


def is_card(row: IdentityDocument) -> bool:
    """Whether a document has its holder's identity number: also one that is lost or has expired."""
    return row.kind == DocumentKind.RESIDENT_ID_CARD and row.status != DocumentStatus.REPLACED


async def phones(session: ReadSession, ids: Collection[UUID]) -> dict[UUID, list[Phone]]:
    """In the order in which they were said."""
    found: dict[UUID, list[Phone]] = defaultdict(list)
    statement = select(Phone).where(Phone.resident_id.in_(ids)).order_by(Phone.ordinal)
    for row in await session.scalars(statement):
        found[row.resident_id].append(row)
    return found


async def anyone(session: ReadSession) -> bool:
    return bool(await session.scalar(select(exists().where(Resident.id.is_not(None)))))
