"""Percentiles of recent times on arrays: a histogram whose buckets grow by a tenth, in which old readings fade.

One row of `counts` for each target.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from freehold.simulation.trace import Floats

GROWTH: Final = 1.1
LEAST: Final = 0.001
BUCKETS: Final = 160
"""Up to about an hour."""
REMEMBERED: Final = 512.0
"""Readings at which all are halved."""
ENOUGH: Final = 20.0
"""Readings before a percentile of them is believed."""


def add(counts: Floats, seconds: float) -> None:
    """One more reading."""
    bucket = int(math.log(max(seconds, LEAST) / LEAST) / math.log(GROWTH))
    counts[min(bucket, BUCKETS - 1)] += 1.0
    if np.sum(counts) >= REMEMBERED:
        counts *= 0.5


def at(counts: Floats, share: float, otherwise: float) -> float:
    """The time in seconds that this share of the readings does not exceed; `otherwise` where there are too few."""
    count = np.sum(counts)
    if count < ENOUGH:
        return otherwise
    passed = 0.0
    for bucket in range(BUCKETS):
        passed += counts[bucket]
        if passed >= share * count:
            return LEAST * GROWTH**bucket * 2.0 * GROWTH / (GROWTH + 1.0)
    return otherwise
