"""How likely two records are one person."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from rapidfuzz import fuzz

# Of 100; below, a pair is not worth anybody's look.
WORTH_A_LOOK = 60

_NAME, _BIRTH_DATE, _PHONE, _ADDRESS = 35, 30, 20, 15
_OTHER_SEX, _OTHER_NUMBER = 30, 40
# People of one family name and one dwelling are relatives: names have to be more alike than that.
_NAMES_ALIKE = 0.6
_ADDRESSES_ALIKE = 0.8
_SAME_SOUND = 0.85


@dataclass(frozen=True, slots=True)
class Person:
    """What is compared. `card` and `phones` are keyed hashes."""

    id: UUID
    name: str = field(repr=False)
    pinyin: str = field(repr=False)
    sex: str | None = field(default=None, repr=False)
    birth_date: date | None = field(default=None, repr=False)
    card: bytes | None = field(default=None, repr=False)
    phones: frozenset[bytes] = field(default=frozenset(), repr=False)
    dwellings: frozenset[UUID] = field(default=frozenset(), repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Likeness:
    """`score` is of 100; `reasons` are codes, and say no value."""

    score: int
    reasons: tuple[str, ...]


def likeness(one: Person, other: Person) -> Likeness:
    """The same whichever of them comes first."""
    name, name_reason = _names(one, other)
    if name_reason is None:
        return Likeness(0, ())
    points, reasons = _NAME * name, [name_reason]
    birth, birth_reason = _birth_dates(one.birth_date, other.birth_date)
    if birth_reason is not None:
        points += _BIRTH_DATE * birth
        reasons.append(birth_reason)
    if one.phones & other.phones:
        points += _PHONE
        reasons.append("phone.same")
    address, address_reason = _addresses(one, other)
    if address_reason is not None:
        points += _ADDRESS * address
        reasons.append(address_reason)
    if {one.sex, other.sex} == {"male", "female"}:
        points -= _OTHER_SEX
        reasons.append("sex.differs")
    if one.card is not None and other.card is not None:
        # Two numbers whose check digits hold: one of them would have to be somebody else's.
        points -= _OTHER_NUMBER
        reasons.append("id_number.differs")
    return Likeness(max(round(points), 0), tuple(reasons))


def _names(one: Person, other: Person) -> tuple[float, str | None]:
    if one.name == other.name:
        return 1.0, "name.same"
    if one.pinyin == other.pinyin:
        return _SAME_SOUND, "name.same_sound"
    alike = max(
        fuzz.ratio(one.name, other.name), fuzz.ratio(one.pinyin, other.pinyin)
    ) / 100  # fmt: skip
    return (alike * _SAME_SOUND, "name.similar") if alike >= _NAMES_ALIKE else (0.0, None)


def _birth_dates(one: date | None, other: date | None) -> tuple[float, str | None]:
    if one is None or other is None:
        return 0.0, None
    if one == other:
        return 1.0, "birth_date.same"
    swapped = (one.year, one.month, one.day) == (other.year, other.day, other.month)
    digits = sum(a != b for a, b in zip(f"{one:%Y%m%d}", f"{other:%Y%m%d}", strict=True))
    # As somebody mistypes it.
    return (0.5, "birth_date.similar") if swapped or digits == 1 else (0.0, None)


def _addresses(one: Person, other: Person) -> tuple[float, str | None]:
    if one.dwellings & other.dwellings:
        return 1.0, "dwelling.same"
    alike = max(
        (fuzz.ratio(a, b) / 100 for a in one.addresses for b in other.addresses), default=0.0
    )
    return (alike, "address.similar") if alike >= _ADDRESSES_ALIKE else (0.0, None)
