"""Intervals: against published figures, and against what they promise."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tagging_api.domain import estimates

ENDLESS = 10**12


def test_the_demo_town() -> None:
    """184 of 200 home visits, drawn from 3,256 women."""
    found = estimates.share(184, 200, population=3256)
    assert found.value == 0.92
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (0.8757, 0.9494)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        # Newcombe 1998, table I: Wilson's score method without correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_of_endless_many(count: int, of: int, low: float, high: float) -> None:
    found = estimates.share(count, of, population=ENDLESS)
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (low, high)


@pytest.mark.parametrize(
    ("freedom", "t"),
    # Published tables of Student's distribution, two-sided 95 %.
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622),
     (10, 2.2281), (15, 2.1314), (29, 2.0452), (30, 2.0423), (60, 2.0003), (120, 1.9799),
     (199, 1.9720), (200, 1.9719), (1000, 1.9623)],
)  # fmt: skip
def test_students_distribution(freedom: int, t: float) -> None:
    assert estimates.student_t(freedom) == pytest.approx(t, abs=5e-5)


def test_where_one_method_hands_over_to_the_other() -> None:
    ts = [estimates.student_t(freedom) for freedom in range(1, 400)]
    assert ts == sorted(ts, reverse=True)
    steps = [first - second for first, second in pairwise(ts)]
    assert steps == sorted(steps, reverse=True)


def test_a_mean() -> None:
    found = estimates.mean([1, 2, 3, 4], population=ENDLESS)
    # 2.5 +- 3.1824 * 1.29099 / 2
    assert found.value == 2.5
    assert (found.low, found.high) == pytest.approx((0.44574, 4.55426), abs=1e-5)
    half = estimates.mean([1, 2, 3, 4], population=8)
    assert (half.high or 0) - 2.5 == pytest.approx(2.05426 * math.sqrt(0.5), abs=1e-5)
    assert estimates.mean([5], population=100) == estimates.Estimate(5, None, None)
    assert estimates.mean([5, 5], population=100) == estimates.Estimate(5, 5, 5)


def test_all_of_them_leave_nothing_open() -> None:
    assert estimates.share(3, 10, population=10) == estimates.Estimate(0.3, 0.3, 0.3)
    assert estimates.mean([1, 2], population=2) == estimates.Estimate(1.5, 1.5, 1.5)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 5000))
def test_an_interval_holds_its_share_and_a_larger_population_widens_it(
    of: int, count: int, more: int
) -> None:
    count = min(count, of)
    found = estimates.share(count, of, population=of + more)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    wider = estimates.share(count, of, population=of + more + 100)
    assert (wider.low or 0) <= found.low + 1e-12
    assert (wider.high or 0) >= found.high - 1e-12
    other = estimates.share(of - count, of, population=of + more)
    assert (1 - (other.high or 0), 1 - (other.low or 0)) == pytest.approx(
        (found.low, found.high), abs=1e-9
    )


def test_ninety_five_in_a_hundred_intervals_hold_the_truth() -> None:
    """3,000 samples of 100 from 400 people, of whom 340 are in need; and of their ages."""
    chance = random.Random(7)  # noqa: S311 - a repeatable draw
    people = [1] * 340 + [0] * 60
    ages = [18 + n % 70 for n in range(400)]
    truth = sum(ages) / len(ages)
    shares = means = 0
    for _ in range(3000):
        yes = estimates.share(sum(chance.sample(people, 100)), 100, population=400)
        shares += (yes.low or 0) <= 0.85 <= (yes.high or 0)
        age = estimates.mean(chance.sample(ages, 100), population=400)
        means += (age.low or 0) <= truth <= (age.high or 0)
    assert 0.93 < shares / 3000 < 0.97
    assert 0.93 < means / 3000 < 0.97
