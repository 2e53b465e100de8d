"""Rules evaluated over bitmaps of resident numbers, in memory.

A *column* is one attribute: each of its values with a bitmap of those who have it. What belongs to
the person (tags, codes, the birth date) is one column each. What belongs to a place is a column in
every *layer*: a person may live in several places, and a rule sees only those within the caller's
areas, so layer k tells where everybody's k-th place is and how they live there. "Lives in X, as
seen by a caller with C" is then the union, over the layers, of those whose place is in X and in C.
Layers beyond the first have few people.

A date is its year, with a bitmap for each, and the binary digits of its day within the year, with a
bitmap for each. A range of days is a union of years, and at its ends a few who are told apart digit
by digit, so ages need no bitmaps of their own and midnight changes nothing.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, cast
from uuid import UUID

from pyroaring import BitMap

from services.common.areas import Area, AreaKind
from services.common.clock import latest_birth
from services.tagging_api.domain.rules import (
    OF_PLACE,
    AllOf,
    AnyOf,
    AsSeenFrom,
    Compare,
    FieldName,
    HasTag,
    InArea,
    InAudience,
    Members,
    Not,
    Operator,
    Rule,
    Sample,
    resolved_day,
)
from services.tagging_api.domain.sampling import drawn

# The layer of what belongs to the person.
PERSON: Final = -1
TAG: Final = "tag"
TAG_SOURCE: Final = "tag_source"
TAG_COLUMNS: Final = frozenset({TAG, TAG_SOURCE})
STATE: Final = "state"
# Binary digits of a day within its year, from 0 on.
_DIGITS: Final = 9
_LAST_DAY: Final = date.max.toordinal()
# Beyond all days and ages.
_EVER: Final = 1 << 40

Column = dict[Hashable, BitMap]
Columns = dict[tuple[int, str], Column]
# From a number, included, to another, not included.
Stretch = tuple[int, int]
# What is not in the index: members of frozen audiences, and bearers of a tag by its age.
Leaves = Mapping[UUID | HasTag, BitMap]

_NOBODY: Final = BitMap()
_NO_COLUMN: Final[Column] = {}


@dataclass(slots=True)
class Index:
    """Everybody, as they are on a day."""

    day: date
    columns: Columns = field(default_factory=dict[tuple[int, str], Column], repr=False)

    def column(self, name: str, layer: int = PERSON) -> Column:
        return self.columns.get((layer, name), _NO_COLUMN)

    @property
    def layers(self) -> list[int]:
        return sorted({layer for layer, _ in self.columns if layer != PERSON})

    @property
    def size(self) -> int:
        """How many residents there are; everybody has a state, those who are gone as well."""
        return sum(len(bitmap) for bitmap in self.column(STATE).values())

    def change(
        self, changed: BitMap, found: Columns, *, only: frozenset[str] | None = None
    ) -> None:
        """Forget all about some residents, or what `only` these columns say, and learn anew."""
        for (_, name), column in self.columns.items():
            if only is not None and name not in only:
                continue
            emptied: list[Hashable] = []
            for value, bitmap in column.items():
                # Most are about others: asking costs a tenth of taking away.
                if bitmap.intersect(changed):
                    bitmap -= changed
                    if not bitmap:
                        emptied.append(value)
            for value in emptied:
                del column[value]
        self.add(found)

    def add(self, found: Columns) -> None:
        for place, values in found.items():
            column = self.columns.setdefault(place, {})
            for value, bitmap in values.items():
                if value in column:
                    column[value] |= bitmap
                else:
                    column[value] = bitmap


class View:
    """What a caller with `areas` sees on a day. Good until the index changes.

    Bitmaps that it hands out may be the index's own: do not change them.
    """

    def __init__(
        self, index: Index, *, areas: Sequence[Area], on: date, leaves: Leaves | None = None
    ) -> None:
        self.index = index
        self.on = on
        self._leaves = leaves or {}
        self.layers = [(layer, self._living(areas, layer)) for layer in index.layers]
        self.seen = _union([seen for _, seen in self.layers])

    def found(self, rule: Rule) -> BitMap:
        """The members of the rule's audience."""
        return self.among(rule, self.seen)

    def frozen(self, rule: Rule) -> BitMap:
        """If the rule is a frozen audience: who was in it, wherever they are now."""
        return self._leaves[rule.audience_id] if isinstance(rule, Members) else _NOBODY

    def among(self, rule: Rule, candidates: BitMap) -> BitMap:
        """Those of the candidates for whom the rule holds."""
        if not candidates:
            return candidates
        match rule:
            case AllOf(rules):
                for inner in sorted(rules, key=self._cost):
                    candidates = self.among(inner, candidates)
                return candidates
            case AnyOf(rules):
                return self._any(rules, candidates)
            case Not(inner):
                return candidates - self.among(inner, candidates)
            case Compare():
                return self._compared(rule, candidates)
            case Sample(inner, n, basis_points, seed):
                # Drawn from all whom the rule finds, not from those who are left.
                return candidates & drawn(self.found(inner), n, basis_points, seed)
            case AsSeenFrom(areas, inner):
                other = View(self.index, areas=areas, on=self.on, leaves=self._leaves)
                return other.among(inner, other.seen & candidates)
            case HasTag() | InArea() | Members():
                return candidates & self._union_of([rule])
            case InAudience():
                raise ValueError("the audience is not resolved")

    def _any(self, rules: Sequence[Rule], candidates: BitMap) -> BitMap:
        simple = [rule for rule in rules if isinstance(rule, HasTag | InArea | Members)]
        found = candidates & self._union_of(simple)
        for inner in rules:
            if not isinstance(inner, HasTag | InArea | Members):
                found |= self.among(inner, candidates - found)
        return found

    def _union_of(self, rules: Sequence[HasTag | InArea | Members]) -> BitMap:
        """Whoever one of them holds for, seen or not."""
        areas = [rule.area for rule in rules if isinstance(rule, InArea)]
        found = [self._bearers(rule) for rule in rules if isinstance(rule, HasTag)]
        found += [self._leaves[rule.audience_id] for rule in rules if isinstance(rule, Members)]
        if areas:
            found += [self._living(areas, layer) & seen for layer, seen in self.layers]
        return _union(found)

    def _bearers(self, rule: HasTag) -> BitMap:
        if rule.days is not None:
            return self._leaves[rule]
        if rule.source is not None:
            return self.index.column(TAG_SOURCE).get((rule.code, rule.source), _NOBODY)
        return self.index.column(TAG).get(rule.code, _NOBODY)

    def _living(self, areas: Iterable[Area], layer: int) -> BitMap:
        columns = {kind: self.index.column(kind, layer) for kind in AreaKind}
        return _union([columns[area.kind].get(area.code, _NOBODY) for area in areas])

    def _compared(self, rule: Compare, candidates: BitMap) -> BitMap:
        if rule.field not in OF_PLACE:
            return self._valued(rule, candidates, PERSON)
        return _union([self._valued(rule, candidates & seen, layer) for layer, seen in self.layers])

    def _valued(self, rule: Compare, candidates: BitMap, layer: int) -> BitMap:
        bounds = [resolved_day(value, self.on) for value in rule.values]
        match rule.field:
            case FieldName.AGE:
                ages = stretches(rule.op, [age for age in bounds if isinstance(age, int)])
                born = [_born(each, self.on) for each in ages]
                return self._dated(FieldName.BIRTH_DATE, layer, born, candidates)
            case FieldName.BIRTH_DATE | FieldName.LEASE_END_DATE:
                days = [day.toordinal() for day in bounds if isinstance(day, date)]
                return self._dated(rule.field, layer, stretches(rule.op, days), candidates)
            case FieldName.HOUSEHOLD_SIZE:
                sizes = stretches(rule.op, [size for size in bounds if isinstance(size, int)])
                return candidates & self._sized(sizes, layer)
            case FieldName.LIVES_ALONE:
                sizes = stretches(Operator.EQ if bounds[0] else Operator.NE, [1])
                return candidates & self._sized(sizes, layer)
            case _:
                column = self.index.column(rule.field, layer)
                wanted = rule.op is not Operator.NE
                return candidates & _union(
                    [bitmap for value, bitmap in column.items() if (value in bounds) is wanted]
                )

    def _dated(
        self, name: FieldName, layer: int, wanted: Sequence[Stretch], candidates: BitMap
    ) -> BitMap:
        own_years, own_digits = (self.index.column(of(name), layer) for of in (years, digits))
        return _dated(own_years, own_digits, wanted, candidates)

    def _sized(self, sizes: Sequence[Stretch], layer: int) -> BitMap:
        column = self.index.column(FieldName.HOUSEHOLD_SIZE, layer)
        return _union(
            [
                bitmap
                for size, bitmap in column.items()
                if isinstance(size, int) and any(start <= size < end for start, end in sizes)
            ]
        )

    def _cost(self, rule: Rule) -> tuple[int, int]:
        """What narrows most for least comes first."""
        match rule:
            case HasTag() | Members():
                return 0, len(self._union_of([rule]))
            case InArea() | Compare(FieldName.SEX):
                return 1, 0
            case Compare(FieldName.AGE | FieldName.BIRTH_DATE | FieldName.LEASE_END_DATE):
                return 4, 0
            case Compare():
                return 1, 1
            case Not(inner):
                return self._cost(inner)[0] + 1, 0
            case AnyOf(rules) | AllOf(rules):
                return max(2, *(self._cost(inner)[0] for inner in rules)), len(rules)
            case Sample() | AsSeenFrom() | InAudience():
                return 5, 0


def years(name: FieldName) -> str:
    """The column of the years of a date."""
    return f"{name}.year"


def digits(name: FieldName) -> str:
    """The column of the binary digits of a date within its year."""
    return f"{name}.digit"


def digits_of(day: date) -> list[int]:
    """The digits that are 1."""
    past = day.toordinal() - _first_day(day.year)
    return [digit for digit in range(_DIGITS) if past >> digit & 1]


def _first_day(year: int) -> int:
    return date(year, 1, 1).toordinal()


def _dated(years: Column, digits: Column, wanted: Sequence[Stretch], candidates: BitMap) -> BitMap:
    """Those of the candidates whose day, as `date.toordinal` counts, lies in one of the stretches."""
    whole: list[BitMap] = []
    found: list[BitMap] = []
    for start, end in wanted:
        first, last = _year(start), _year(end - 1)
        whole += [bitmap for year, bitmap in years.items() if first < cast("int", year) < last]
        for year in {first, last} & years.keys():
            born = candidates & years[year]
            found += _descend(digits, (start, end), born, _DIGITS, _first_day(year))
    if whole:
        found.append(candidates & _union(whole))
    return _union(found)


def _year(day: int) -> int:
    """The year of a day; one that never comes for what lies before or after all of them."""
    return date.fromordinal(day).year if 0 < day <= _LAST_DAY else day


def _descend(
    digits: Column, wanted: Stretch, candidates: BitMap, count: int, first: int
) -> Iterator[BitMap]:
    """`candidates` are those with a day from `first` on that differs in the last digits only."""
    start, stop = wanted
    end = first + (1 << count)
    if not candidates or start >= end or stop <= first:
        return
    if start <= first and stop >= end:
        yield candidates
        return
    half = first + (1 << count - 1)
    ones = digits.get(count - 1, _NOBODY)
    if start < half:
        yield from _descend(digits, wanted, candidates - ones, count - 1, first)
    if stop > half:
        yield from _descend(digits, wanted, candidates & ones, count - 1, half)


def stretches(op: Operator, values: Sequence[int]) -> list[Stretch]:
    """The whole numbers that a comparison holds for."""
    first, last = values[0], values[-1]
    found: dict[Operator, list[Stretch]] = {
        Operator.EQ: [(first, first + 1)],
        Operator.NE: [(-_EVER, first), (first + 1, _EVER)],
        Operator.LT: [(-_EVER, first)],
        Operator.LTE: [(-_EVER, first + 1)],
        Operator.GT: [(first + 1, _EVER)],
        Operator.GTE: [(first, _EVER)],
        Operator.BETWEEN: [(first, last + 1)],
    }
    return _runs(sorted(set(values))) if op is Operator.IN else found[op]


def _runs(numbers: Sequence[int]) -> list[Stretch]:
    """Numbers in order as the fewest stretches."""
    starts = [n for i, n in enumerate(numbers) if i == 0 or numbers[i - 1] != n - 1]
    ends = [n + 1 for i, n in enumerate(numbers) if n == numbers[-1] or numbers[i + 1] != n + 1]
    return list(zip(starts, ends, strict=True))


def _born(ages: Stretch, on: date) -> Stretch:
    """The days of birth of those of these ages: the older, the earlier."""
    youngest, too_old = ages
    return (
        -_EVER if too_old == _EVER else latest_birth(on, too_old).toordinal() + 1,
        _EVER if youngest == -_EVER else latest_birth(on, youngest).toordinal() + 1,
    )


def _union(bitmaps: Sequence[BitMap]) -> BitMap:
    found = [bitmap for bitmap in bitmaps if bitmap]
    if len(found) > 1:
        return BitMap.union(*found)
    return found[0] if found else _NOBODY
