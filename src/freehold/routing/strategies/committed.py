"""What is paid for already comes first.

    score = marginal cost: 0 while the request fits into reserved throughput, or less was spent than is due;
            else its cost (infinite where reserved throughput refuses what does not fit)

Requests spill over when the commitment's marginal cost is above the lowest of the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from freehold.routing.features import COST, HEADROOM, MARGINAL
from freehold.routing.strategies import Strategy

UNPRICED: Final = 1e9
"""USD for a target without a price and without a commitment: behind those with a price, before those that refuse."""


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """The formula above."""
    if row[MARGINAL] == math.inf and row[HEADROOM] == math.inf:
        return UNPRICED
    return row[MARGINAL]


STRATEGY = Strategy(
    id="committed",
    says="Reserved throughput and committed spend first; others when those would cost more than they do.",
    reads=(MARGINAL, HEADROOM, COST),
    score=score,
)
