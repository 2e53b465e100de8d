"""What a sample says about everybody it was drawn from, with 95 % confidence.

A sample without replacement of a finite number of people is better than one of endless many: `n` of
`N` say as much as `n (N - 1) / (N - n)` of endless many would, and all of them say everything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, stdev

_TAIL = 0.975
_Z = NormalDist().inv_cdf(_TAIL)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a mean with its interval; `low` and `high` are null for a mean of one answer."""

    value: float
    low: float | None
    high: float | None


def share(count: int, of: int, *, population: int) -> Estimate:
    """A share of a sample as an estimate for the population: Wilson's score interval.

    `of` > 0. Unlike the interval from the standard error, it stays within 0 and 1 and holds for
    small samples. 184 of 200, drawn from 3,256: 0.92 (0.8757 to 0.9494).
    """
    p = count / of
    if of >= population:
        return Estimate(p, p, p)
    n = of * (population - 1) / (population - of)
    z2 = _Z * _Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At 0 and 1 the interval ends there; rounding must not leave the share outside of it.
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def mean(values: Sequence[float], *, population: int) -> Estimate:
    """The mean of at least one value as an estimate for the population, by Student's t."""
    n, found = len(values), fmean(values)
    if n >= population:
        return Estimate(found, found, found)
    if n == 1:
        return Estimate(found, None, None)
    error = stdev(values) / math.sqrt(n) * math.sqrt(1 - n / population)
    half = student_t(n - 1) * error
    return Estimate(found, found - half, found + half)


@lru_cache(maxsize=1024)
def student_t(freedom: int) -> float:
    """What 97.5 % of Student's distribution lie below; `freedom` >= 1.

    From the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4) by
    bisection; from 200 on by the expansion around the normal distribution (26.7.5), which is then
    good to ten digits.
    """
    if freedom >= 200:
        z, v = _Z, freedom
        return (
            z
            + (z**3 + z) / (4 * v)
            + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        )
    low, high = 0.0, 13.0
    for _ in range(80):
        middle = (low + high) / 2
        if _between(middle, freedom) < 2 * _TAIL - 1:
            low = middle
        else:
            high = middle
    return high


def _between(t: float, freedom: int) -> float:
    """How much of the distribution lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for step in range(odd, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (step + 1) / (step + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
