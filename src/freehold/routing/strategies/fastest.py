"""The lowest expected time to the last token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from freehold.routing.features import DRAW, FIRST_TOKEN, ORDER, OUTPUT, SPEED
from freehold.routing.strategies import Strategy

EXPLORED: Final = 0.02
"""Share of requests that first ask a target nobody has measured: it would never be measured otherwise."""


def latency(row: Sequence[float]) -> float:
    """Seconds until the whole answer is there; infinite where nothing was measured."""
    if row[FIRST_TOKEN] == math.inf:
        return math.inf
    if row[SPEED] <= 0.0:
        return row[FIRST_TOKEN]
    return row[FIRST_TOKEN] + row[OUTPUT] / row[SPEED]


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """The expected time; one that was never measured comes last, but first in a few exchanges."""
    expected = latency(row)
    if expected == math.inf and row[DRAW] < EXPLORED:
        return -1.0 / (1.0 + row[ORDER])
    return expected


STRATEGY = Strategy(
    id="fastest",
    says="The lowest expected time to the last token, from live traffic and `freehold bench`.",
    reads=(FIRST_TOKEN, SPEED, OUTPUT, DRAW),
    score=score,
)
