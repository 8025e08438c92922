"""The cheapest for the rest of a conversation, where moving means to pay for its beginning once more.

    score = cost + ahead * later

with the cost of this request (tokens that are expected in the target's cache at the price of cached ones), what each
later one would cost there once it is warm, and how many are expected: as many as there have been, at least one. A warm
target is left only for one whose lower price makes up for the cache that is lost. Without prices the warmest counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from freehold.routing.features import AHEAD, CACHED, COST, LATER
from freehold.routing.strategies import Strategy

UNPRICED: Final = 1e9
"""USD, less a token each that is cached: targets without a price come last, the warmest of them first."""


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """The formula above."""
    if row[COST] == math.inf:
        return UNPRICED - row[CACHED]
    return row[COST] + row[AHEAD] * row[LATER]


STRATEGY = Strategy(
    id="sticky",
    says="Stays where the conversation is cached, until a lower price elsewhere makes up for the cache that is lost.",
    reads=(COST, LATER, AHEAD, CACHED),
    score=score,
)
