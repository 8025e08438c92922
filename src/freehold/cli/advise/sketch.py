"""Percentiles of a stream of whole numbers in flat memory, each within one per cent of the true one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

_GROWTH = 1.02
"""Width of a bucket: its middle is within one per cent of everything in it."""
_LOG = math.log(_GROWTH)


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of how many numbers, their mean, and the values that these shares of them do not exceed. `max` is exact."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: int


class Sketch:
    """Counts numbers by the logarithm of their size: some 700 buckets from one to a million."""

    __slots__ = ("_buckets", "count", "largest", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.largest = 0

    def add(self, value: int) -> None:
        """One more; what is less than one counts as zero."""
        place = math.ceil(math.log(value) / _LOG) if value > 0 else -1
        self._buckets[place] = self._buckets.get(place, 0) + 1
        self.count += 1
        self.total += max(value, 0)
        self.largest = max(self.largest, value)

    def above(self, bound: int) -> float:
        """The share of the numbers that exceed a bound, to within the width of a bucket."""
        if not self.count:
            return 0.0
        return sum(count for value, count in self._values() if value > bound) / self.count

    def percentile(self, share: float) -> float:
        """The value that this share does not exceed; 0 of nothing."""
        wanted = math.ceil(share * self.count)
        seen = 0
        for value, count in self._values():
            seen += count
            if seen >= wanted:
                return min(value, float(self.largest))
        return 0.0

    def _values(self) -> Iterator[tuple[float, int]]:
        for place in sorted(self._buckets):
            # The middle of the bucket, which ends at _GROWTH ** place.
            yield (0.0 if place < 0 else 2 * _GROWTH**place / (1 + _GROWTH)), self._buckets[place]

    def report(self) -> Percentiles | None:
        """The percentiles; None of nothing."""
        if not self.count:
            return None
        p50, p90, p95, p99 = (round(self.percentile(share), 1) for share in (0.5, 0.9, 0.95, 0.99))
        mean = round(self.total / self.count, 1)
        return Percentiles(count=self.count, mean=mean, p50=p50, p90=p90, p95=p95, p99=p99, max=self.largest)
