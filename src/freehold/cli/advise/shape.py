"""How a load is spread over time: hours, their mean and their peak, in flat memory."""

from __future__ import annotations

import math
from typing import Final

import msgspec

MOST_HOURS: Final = 8784
"""A year; what is older than the newest by more is not looked at."""
_HOUR: Final = 3600.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens an hour: the mean over all hours from first to last, and the hour that 95 % of the hours do not exceed.

    `factor` is the one by the other, 1 for a load that never changes: the part of a capacity bought for the busy hours
    that is used. None for less than a day, in which no peak is known.
    """

    hours: int
    mean: float
    p95: float
    factor: float | None


class Hours:
    """Tokens by the hour."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[int, int] = {}

    def add(self, at: float, tokens: int) -> None:
        """One request at a Unix time."""
        hour = math.floor(at / _HOUR)
        self._sums[hour] = self._sums.get(hour, 0) + tokens
        if len(self._sums) > MOST_HOURS:
            del self._sums[min(self._sums)]

    def report(self) -> Load:
        """The spread; hours in which nothing was asked count."""
        if not self._sums:
            return Load(hours=0, mean=0.0, p95=0.0, factor=None)
        first, last = min(self._sums), max(self._sums)
        hours = last - first + 1
        mean = sum(self._sums.values()) / hours
        rank = math.ceil(0.95 * hours) - (hours - len(self._sums))
        p95 = float(sorted(self._sums.values())[rank - 1]) if rank > 0 else 0.0
        factor = round(min(1.0, mean / p95), 4) if p95 and hours >= 24 else None
        return Load(hours=hours, mean=round(mean, 1), p95=p95, factor=factor)
