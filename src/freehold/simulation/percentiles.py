"""The histogram of `routing.percentiles` on arrays: a row of counts for each target."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from freehold.routing.health import LEAST_READINGS
from freehold.routing.percentiles import FADED, GROWTH, LEAST, REMEMBERED
from freehold.simulation.trace import Floats

BUCKETS: Final = 160
"""Up to about an hour."""

_SCALE: Final = 1.0 / math.log(GROWTH)
_MIDDLE: Final = 2.0 * GROWTH / (GROWTH + 1.0)


def add(counts: Floats, seconds: float) -> None:
    """One more reading."""
    bucket = int(math.log(seconds / LEAST) * _SCALE) if seconds > LEAST else 0
    counts[min(bucket, BUCKETS - 1)] += 1.0
    if np.sum(counts) >= REMEMBERED:
        for place in range(BUCKETS):
            half = counts[place] / 2
            counts[place] = half if half > FADED else 0.0


def at(counts: Floats, share: float, otherwise: float) -> float:
    """The time in seconds that this share of the readings does not exceed; `otherwise` where there are too few."""
    count = np.sum(counts)
    if count < LEAST_READINGS:
        return otherwise
    passed = 0.0
    found = 0
    for bucket in range(BUCKETS):
        if counts[bucket] > 0.0:
            found = bucket
            passed += counts[bucket]
            if passed >= share * count:
                break
    return LEAST * GROWTH**found * _MIDDLE
