"""How sure a figure is: intervals that hold the true value in 95 of 100 runs, and none where too few were asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from freehold.routing.measured import Estimate

CONFIDENCE: Final = 0.95

_Z: Final = 1.959963984540054
"""Of the normal distribution, 95 % lie within this many standard deviations."""

FEWEST: Final = 6
"""Readings that an interval of a median needs: of five, the smallest and the largest hold it in 94 of 100 runs."""


def median(readings: Sequence[float]) -> Estimate | None:
    """The median between two order statistics; None without readings, no interval below `FEWEST`.

    How many readings lie below the true median is binomial, whatever the readings' distribution, so the interval is
    exact.
    """
    if not readings:
        return None
    ordered = sorted(readings)
    count = len(ordered)
    half = count // 2
    # Halved before they are added: the sum of two large readings could be infinite.
    middle = ordered[half] if count % 2 else ordered[half - 1] / 2 + ordered[half] / 2
    if count < FEWEST:
        return Estimate(value=middle)
    rank = _lower_rank(count)
    return Estimate(value=middle, low=ordered[rank - 1], high=ordered[count - rank])


def _lower_rank(count: int) -> int:
    """The highest rank, from 1, below which the true median lies in at most 2.5 % of runs."""
    allowed = (1 - CONFIDENCE) / 2 * 2**count if count < 1000 else math.inf
    if allowed == math.inf:
        # Beyond what a float holds, the normal approximation is exact to a rank.
        return math.floor((count - _Z * math.sqrt(count)) / 2)
    below, rank = 0, 0
    while rank < count // 2:
        below += math.comb(count, rank)
        if below > allowed:
            break
        rank += 1
    return rank


def share(hits: float, count: int) -> Estimate | None:
    """A share of hits with Wilson's score interval; None of nothing.

    Scores between 0 and 1 may be summed to `hits`: they vary less than hits and misses of the same mean, so the
    interval is wider than it has to be, never narrower.
    """
    if count == 0:
        return None
    value = hits / count
    square = _Z * _Z
    centre = (value + square / (2 * count)) / (1 + square / count)
    reach = _Z / (1 + square / count) * math.sqrt(value * (1 - value) / count + square / (4 * count * count))
    # Rounding must not put the share outside its own interval.
    return Estimate(value=value, low=max(0.0, min(value, centre - reach)), high=min(1.0, max(value, centre + reach)))


def ratio(pairs: Sequence[tuple[float, float]]) -> Estimate | None:
    """The sum of the first over the sum of the second; None of nothing, no interval of one.

    The interval is that of the ratio estimator: the deviations of the first from what the second lets expect, with
    Student's t for as many (Cochran, Sampling Techniques, 6.3). A resampled one is too narrow for a handful.
    """
    count = len(pairs)
    below = sum(second for _, second in pairs)
    if below <= 0:
        return None
    value = sum(first for first, _ in pairs) / below
    if count < 2:
        return Estimate(value=value)
    squares = sum((first - value * second) ** 2 for first, second in pairs)
    reach = students_t(count - 1) * math.sqrt(squares / (count - 1) / count) / (below / count)
    return Estimate(value=value, low=max(0.0, value - reach), high=value + reach)


def students_t(freedom: int) -> float:
    """The value that Student's t, with so many degrees of freedom, exceeds in either direction in 5 of 100 cases."""
    if freedom > 1000:
        return _Z  # to three digits
    low, high = 0.0, math.pi / 2
    while high - low > 1e-12:
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, freedom) < CONFIDENCE else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """The probability that |t| is below √freedom · tan(angle): the finite sums of Abramowitz and Stegun, 26.7.3-4."""
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * step / (step + 1)
    found = math.sin(angle) * total
    return (angle + found) * 2 / math.pi if odd else found
