"""What rules compare, as SQL conditions over one column: codes, dates, ages, ages of assignments."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression, and_
from sqlalchemy.dialects.postgresql import ARRAY

from services.common.clock import SHANGHAI, latest_birth
from services.tagging_api.domain.rules import WHOLE, Days, Operator

Scalar = int | date | str | bool


def compares(
    column: SQLColumnExpression[Any], op: Operator, values: Sequence[Scalar]
) -> ColumnElement[bool]:
    """Unknown, and so not true, where the column is null."""
    first, last = values[0], values[-1]
    comparisons: dict[Operator, ColumnElement[bool]] = {
        Operator.EQ: column == first,
        Operator.NE: column != first,
        Operator.IN: column == sa.any_(array(values)),
        Operator.LT: column < first,
        Operator.LTE: column <= first,
        Operator.GT: column > first,
        Operator.GTE: column >= first,
        Operator.BETWEEN: column.between(first, last),
    }
    return comparisons[op]


def array(values: Sequence[Scalar]) -> SQLColumnExpression[Any]:
    """One parameter, however many values."""
    match values[0]:
        case date():
            kind: Any = sa.Date()
        case int():
            kind = sa.Integer()
        case str():
            kind = sa.Text()
    return sa.literal(list(values), ARRAY(kind))


def aged(
    born: SQLColumnExpression[Any], op: Operator, ages: Sequence[int], on: date
) -> ColumnElement[bool]:
    """Ages as ranges of birth dates, which an index serves and no midnight changes."""
    first, last = ages[0], ages[-1]

    def between(low: int, high: int) -> ColumnElement[bool]:
        return and_(born <= latest_birth(on, low), born > latest_birth(on, high + 1))

    comparisons: dict[Operator, ColumnElement[bool]] = {
        Operator.EQ: between(first, first),
        Operator.NE: sa.not_(between(first, first)),
        Operator.IN: _in_some_stretch(born, ages, on),
        Operator.LT: born > latest_birth(on, first),
        Operator.LTE: born > latest_birth(on, first + 1),
        Operator.GT: born <= latest_birth(on, first + 1),
        Operator.GTE: born <= latest_birth(on, first),
        Operator.BETWEEN: between(first, last),
    }
    return comparisons[op]


def _in_some_stretch(
    born: SQLColumnExpression[Any], ages: Sequence[int], on: date
) -> ColumnElement[bool]:
    """Of several ages, which may lie apart: one parameter and a binary search.

    Each stretch of ages begins on one day of birth and ends before another. Among all these days
    in order, whoever was born after an odd number of them was born within a stretch.
    """
    days = sorted(
        latest_birth(on, age) + timedelta(days=1)
        for low, high in _stretches(ages)
        for age in (high + 1, low)
    )
    bucket = sa.func.width_bucket(born, array(days), type_=sa.Integer)
    return bucket % 2 == 1


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers as the fewest ranges, both ends included."""
    stretches: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if stretches and stretches[-1][1] == number - 1:
            stretches[-1] = stretches[-1][0], number
        else:
            stretches.append((number, number))
    return stretches


def valid(
    start: SQLColumnExpression[Any], end: SQLColumnExpression[Any], on: date
) -> ColumnElement[bool]:
    """Whether a day lies at or after `start` and before `end`, where given."""
    return and_(sa.or_(start.is_(None), start <= on), sa.or_(end.is_(None), end > on))


def days_ago(at: SQLColumnExpression[Any], days: Days, on: date) -> ColumnElement[bool]:
    """How many calendar days ago an instant was, as a range of instants."""
    # The more days, the earlier: of two bounds the higher number is the first day.
    latest, earliest = (on - timedelta(days=value) for value in (days.values[0], days.values[-1]))
    comparisons: dict[Operator, ColumnElement[bool]] = {
        Operator.EQ: and_(at >= _starts(latest), at < _ends(latest)),
        Operator.LT: at >= _ends(latest),
        Operator.LTE: at >= _starts(latest),
        Operator.GT: at < _starts(latest),
        Operator.GTE: at < _ends(latest),
        Operator.BETWEEN: and_(at >= _starts(earliest), at < _ends(latest)),
    }
    return comparisons[days.op]


def _starts(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)


def _ends(day: date) -> datetime:
    return _starts(day + timedelta(days=1))


def mixed(number: SQLColumnExpression[int], seed: int) -> ColumnElement[int]:
    """The SQL of `domain.rules.mix`. Every intermediate value fits a bigint."""
    bits = sa.literal_column(str(0xFFFFFFFF), sa.BigInteger)
    mixer = sa.literal_column(str(0x45D9F3B), sa.BigInteger)
    start = sa.literal_column(str(seed * 0x45D9F3B & 0xFFFFFFFF), sa.BigInteger)
    shift = sa.literal_column("16", sa.Integer)
    x: ColumnElement[int] = sa.cast(number, sa.BigInteger).bitwise_xor(start)
    for _ in range(2):
        x = (x.bitwise_rshift(shift).bitwise_xor(x) * mixer).bitwise_and(bits)
    return x.bitwise_rshift(shift).bitwise_xor(x)


def chosen(
    number: SQLColumnExpression[int], *, basis_points: int, seed: int
) -> ColumnElement[bool]:
    """The SQL of `domain.rules.chosen`."""
    return mixed(number, seed) * WHOLE < sa.literal(basis_points << 32, sa.BigInteger)
