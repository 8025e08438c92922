"""Whether something grows over time: the median of all slopes (Theil and Sen), which outliers do not move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

_Z: Final = 1.959963984540054
"""Of the normal distribution, 95 % lie within this many standard deviations."""
LEAST_POINTS: Final = 8
"""Points, below which an interval of 95 % would hold nearly every slope."""
MOST_DAYS: Final = 512
"""Pieces of time at most; beyond, two become one."""
LEAST_IN_DAY: Final = 5
"""Requests of a day, below which its mean is an accident."""
_DAY: Final = 86400.0
_MONTH: Final = 30.0


class Slope(msgspec.Struct, frozen=True, kw_only=True):
    """A slope between the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope | None:
    """The median slope, with Sen's interval (1968); None for fewer than eight points or a single moment.

    The interval takes points to be independent: days that resemble the day before make it too narrow.
    """
    count = len(points)
    if count < LEAST_POINTS:
        return None
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(points)
        for later in points[place + 1 :]
        if later[0] != earlier[0]
    )
    if not slopes:
        return None
    # Kendall's S has this variance where there is no trend; its quantiles are ranks among the slopes.
    reach = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    last = len(slopes) - 1
    low = min(last, max(0, math.floor((len(slopes) - reach) / 2)))
    high = min(last, max(0, math.ceil((len(slopes) + reach) / 2)))
    half = len(slopes) // 2
    middle = slopes[half] if len(slopes) % 2 else (slopes[half - 1] + slopes[half]) / 2
    return Slope(value=middle, low=slopes[low], high=slopes[high])


class Inflation(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer requests get in 30 days, as a share: 0.1 is a tenth. `days` are the points it is made of."""

    per_month: float
    low: float
    high: float
    days: int


class Days:
    """The geometric mean of each day, in flat memory: whole days, so that night and day are no trend."""

    __slots__ = ("_sums", "_width")

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, float]] = {}
        self._width = _DAY

    def add(self, at: float, value: int) -> None:
        """One request at a Unix time; nothing is learnt from an empty one."""
        if value <= 0:
            return
        place = math.floor(at / self._width)
        count, total = self._sums.get(place, (0, 0.0))
        self._sums[place] = (count + 1, total + math.log(value))
        if len(self._sums) > MOST_DAYS:
            self._halve()

    def _halve(self) -> None:
        self._width *= 2
        merged: dict[int, tuple[int, float]] = {}
        for place, (count, total) in self._sums.items():
            before = merged.get(place // 2, (0, 0.0))
            merged[place // 2] = (before[0] + count, before[1] + total)
        self._sums = merged

    def points(self) -> list[tuple[float, float]]:
        """The days with enough requests: when (in days) and the mean logarithm. The first and last may be parts."""
        return [
            (place * self._width / _DAY, total / count)
            for place, (count, total) in sorted(self._sums.items())
            if count >= LEAST_IN_DAY
        ]

    def report(self) -> Inflation | None:
        """The growth; None where there are too few days."""
        points = self.points()
        slope = theil_sen(points)
        if slope is None:
            return None
        grown = [math.expm1(each * _MONTH) for each in (slope.value, slope.low, slope.high)]
        return Inflation(
            per_month=round(grown[0], 4), low=round(grown[1], 4), high=round(grown[2], 4), days=len(points)
        )
