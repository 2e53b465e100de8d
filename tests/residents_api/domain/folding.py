"""Which rows of one ledger speak of the same person, and what they say together.

A person is known by the identity number, or without one by name and birth date within one
dwelling. There a row without number and a row with one may be the same person; two rows with
different numbers never are. Rejected rows take no part.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from services.residents_api.domain.dwellings import Dwelling
from services.residents_api.domain.ledger.rows import LedgerRow

_Value = TypeVar("_Value")
# A person's number; or, without one, name and birth date within a dwelling.
_Place = tuple[str | None, Dwelling]
_PersonKey = str | tuple[str | None, date | None, _Place]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """A person in one dwelling: the last that the rows said of it, None where none said it."""

    dwelling: Dwelling
    village: str | None
    grid: str | None
    relation_to_head: str | None
    tenure: str | None
    start_date: date | None


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """What all rows of a person say together.

    The first name; of every other value the last one that says something; phones and labels united in the order in
    which they were first said. `rows` are the rows, in the ledger's order.
    """

    name: str | None
    sex: str | None
    birth_date: date | None
    id_number: str | None
    phones: tuple[str, ...]
    population_type: str | None
    ethnicity: str | None
    education: str | None
    marital_status: str | None
    political_status: str | None
    occupation: str | None
    employer: str | None
    registered_address: str | None
    labels: tuple[str, ...]
    note: str | None
    occupancies: tuple[Occupancy, ...]
    rows: tuple[LedgerRow, ...] = field(default=())

    def __repr__(self) -> str:
        return f"Person(rows={[(row.sheet, row.row) for row in self.rows]})"


def duplicates(rows: Iterable[LedgerRow]) -> set[tuple[str, int]]:
    """(sheet, row) of the rows that repeat an earlier row's person in the same dwelling."""
    found: set[tuple[str, int]] = set()
    for person in _by_person(rows):
        seen: set[_Place] = set()
        for row in person:
            place = _place(row)
            if place in seen:
                found.add((row.sheet, row.row))
            seen.add(place)
    return found


def fold(rows: Iterable[LedgerRow]) -> list[Person]:
    """The persons of the accepted rows, in the order in which they first appear."""
    return [_person(person) for person in _by_person(rows)]


def _by_person(rows: Iterable[LedgerRow]) -> list[list[LedgerRow]]:
    accepted = [row for row in rows if not row.rejected]
    # Whom a row without number may be: the first with that name and birth date in the dwelling.
    numbers: dict[_PersonKey, str] = {}
    for row in accepted:
        if row.id_number:
            numbers.setdefault(_nameable(row), row.id_number)
    persons: dict[_PersonKey, list[LedgerRow]] = {}
    for row in accepted:
        named = _nameable(row)
        persons.setdefault(row.id_number or numbers.get(named, named), []).append(row)
    return list(persons.values())


def _nameable(row: LedgerRow) -> _PersonKey:
    return (row.name, row.birth_date, _place(row))


def _place(row: LedgerRow) -> _Place:
    return (row.village, row.dwelling)


def _person(rows: Sequence[LedgerRow]) -> Person:
    by_place: dict[_Place, list[LedgerRow]] = {}
    for row in rows:
        by_place.setdefault(_place(row), []).append(row)
    return Person(
        name=rows[0].name,
        sex=_last([row.sex for row in rows]),
        birth_date=_last([row.birth_date for row in rows]),
        id_number=_last([row.id_number for row in rows]),
        phones=tuple(dict.fromkeys(phone for row in rows for phone in row.phones)),
        population_type=_last([row.population_type for row in rows]),
        ethnicity=_last([row.ethnicity for row in rows]),
        education=_last([row.education for row in rows]),
        marital_status=_last([row.marital_status for row in rows]),
        political_status=_last([row.political_status for row in rows]),
        occupation=_last([row.occupation for row in rows]),
        employer=_last([row.employer for row in rows]),
        registered_address=_last([row.registered_address for row in rows]),
        labels=tuple(dict.fromkeys(label for row in rows for label in row.labels)),
        note=_last([row.note for row in rows]),
        occupancies=tuple(
            Occupancy(
                dwelling=here[-1].dwelling,
                village=here[-1].village,
                grid=_last([row.grid for row in here]),
                relation_to_head=_last([row.relation_to_head for row in here]),
                tenure=_last([row.tenure for row in here]),
                start_date=_last([row.start_date for row in here]),
            )
            for here in by_place.values()
        ),
        rows=tuple(rows),
    )


def _last(values: Sequence[_Value | None]) -> _Value | None:
    return next((value for value in reversed(values) if value is not None), None)
