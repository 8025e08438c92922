"""What a replay is summed up to, and how sure the sums are over several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from freehold.simulation.kernel import ANSWERED
from freehold.simulation.trace import Records

_T95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t at 97.5 %, for 1 to 30 degrees of freedom."""
_NORMAL95: Final = 1.96


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """One replay in figures: USD a million tokens of answered requests, shares, seconds (of the answered), counts."""

    usd_per_million: float
    availability: float
    p50: float
    p95: float
    attempts: float


class Estimate(msgspec.Struct, frozen=True):
    """A mean over seeds, and how far it reaches to either side with 95 % confidence."""

    mean: float
    reach: float


def measures(requests: Records, outcome: Records) -> Measures:
    """The figures of a replay; those of answers are infinite where nothing was answered."""
    answered = outcome["end"] == ANSWERED
    tokens = int((requests["input"] + requests["output"])[answered].sum())
    seconds = outcome["seconds"][answered]
    p50, p95 = np.percentile(seconds, [50, 95]) if len(seconds) else (math.inf, math.inf)
    return Measures(
        usd_per_million=int(outcome["nano_usd"].sum()) * 1e-3 / tokens if tokens else math.inf,
        availability=float(answered.mean()),
        p50=float(p50),
        p95=float(p95),
        attempts=float(outcome["attempts"].mean()),
    )


def estimate(readings: Sequence[float]) -> Estimate:
    """The mean of independent readings and its interval, by Student's t; of one reading nobody knows how sure it is.

    To compare two strategies, give it their differences seed by seed: what both met cancels out.
    """
    count = len(readings)
    mean = math.fsum(readings) / count
    if count == 1:
        return Estimate(mean, math.inf)
    spread = math.sqrt(math.fsum((reading - mean) ** 2 for reading in readings) / (count - 1))
    quantile = _T95[count - 2] if count - 2 < len(_T95) else _NORMAL95
    return Estimate(mean, quantile * spread / math.sqrt(count))
