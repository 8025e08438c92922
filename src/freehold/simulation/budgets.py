"""The rules of `routing.retries` on arrays: what a target may be asked at second hand.

`buckets` has a row for each target, and `counted[one, other]` is how many first attempts at the other have filled the
bucket of the one already.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from freehold.routing.retries import MOST, REFILL, RESERVE
from freehold.simulation.trace import Integers, Records

BUCKET: Final = np.dtype([("firsts", np.int64), ("tokens", np.float64), ("at", np.float64)])


def full(count: int) -> Records:
    """The buckets of targets that nobody has asked yet."""
    buckets = np.zeros(count, BUCKET)
    buckets["tokens"] = RESERVE
    return buckets


def take(buckets: Records, counted: Integers, target: int, first: int, now: float, share: float) -> bool:
    """Whether a target may be asked at second hand by an exchange that asked `first` first; counts it, if so."""
    bucket = buckets[target]
    if bucket["tokens"] < RESERVE:
        bucket["tokens"] = min(RESERVE, bucket["tokens"] + max(0.0, now - bucket["at"]) * REFILL)
    bucket["at"] = now
    _fill(buckets, counted, target, target, share)
    if first != target:
        _fill(buckets, counted, target, first, share)
    if bucket["tokens"] < 1.0:
        return False
    bucket["tokens"] -= 1.0
    return True


def _fill(buckets: Records, counted: Integers, target: int, origin: int, share: float) -> None:
    new = buckets[origin]["firsts"] - counted[target, origin]
    counted[target, origin] += new
    buckets[target]["tokens"] = min(MOST, buckets[target]["tokens"] + new * share)
