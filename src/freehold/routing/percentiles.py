"""Percentiles of times as they come in: a histogram whose buckets grow by a constant factor.

That of DDSketch (Masson, Rim and Lee, VLDB 2019, https://arxiv.org/abs/1908.10693): with growth g every percentile is
right to (g - 1) / (g + 1) of itself, here 5 %, whatever the distribution; two of them are merged by adding. A table of
fixed percentiles (P²) would be smaller, but could neither forget nor answer for a percentile that is configured later.
Old readings fade: when there are enough, all count half.
"""

from __future__ import annotations

import math
from typing import Final

GROWTH: Final = 1.1
LEAST: Final = 0.001
"""Seconds below which times are all the same."""
REMEMBERED: Final = 512
"""Readings at which all are halved: the last 256 to 512 count in full, enough for a 99th percentile."""
FADED: Final = 0.1
"""A bucket with less than this is forgotten."""

_SCALE: Final = 1.0 / math.log(GROWTH)
_MIDDLE: Final = 2.0 * GROWTH / (GROWTH + 1.0)


class Percentiles:
    """The recent distribution of one time."""

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        self._buckets: dict[int, float] = {}
        self.count = 0.0
        """Readings, the older ones less than whole."""

    def add(self, seconds: float) -> None:
        """One more reading."""
        bucket = int(math.log(seconds / LEAST) * _SCALE) if seconds > LEAST else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0.0) + 1.0
        self.count += 1.0
        if self.count >= REMEMBERED:
            self._buckets = {place: held / 2 for place, held in self._buckets.items() if held / 2 > FADED}
            self.count = sum(self._buckets.values())

    def at(self, share: float) -> float | None:
        """The time in seconds that this share of the readings does not exceed; None without any."""
        rank = share * self.count
        passed = 0.0
        found: int | None = None
        for bucket in sorted(self._buckets):
            found = bucket
            passed += self._buckets[bucket]
            if passed >= rank:
                break
        return None if found is None else LEAST * GROWTH**found * _MIDDLE
