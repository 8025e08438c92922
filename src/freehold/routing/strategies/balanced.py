"""Cost, time and reliability against each other, by one formula.

    score = w_cost * ln(cost) + w_latency * ln(latency) - w_errors * ln(1 - errors)

with the expected cost in USD, the expected seconds to the last token and the recent share of failures. In logarithms a
target that costs twice as much has to be twice as fast to be chosen at equal weights, whatever the units, and what is
worse in everything never changes a choice between others. What nobody has measured counts as 2 seconds and 50 tokens a
second, and a target without a price as one USD.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from freehold.routing.features import COST, ERRORS, FIRST_TOKEN, OUTPUT, SPEED
from freehold.routing.strategies import Strategy

FIRST_TOKEN_UNKNOWN: Final = 2.0
SPEED_UNKNOWN: Final = 50.0
COST_UNKNOWN: Final = 1.0
"""More than all but the longest requests cost, so that a known price is preferred."""
LEAST_COST: Final = 1e-9
"""USD: a free target's cost has a logarithm, too."""
LEAST_LATENCY: Final = 1e-3
MOST_ERRORS: Final = 0.999


def score(row: Sequence[float], weights: Sequence[float]) -> float:
    """The formula above; `weights` are those of cost, latency and errors."""
    cost = row[COST]
    if cost == math.inf:
        cost = COST_UNKNOWN
    first = row[FIRST_TOKEN]
    if first == math.inf:
        first = FIRST_TOKEN_UNKNOWN
    speed = row[SPEED]
    if speed <= 0.0:
        speed = SPEED_UNKNOWN
    latency = first + row[OUTPUT] / speed
    errors = min(row[ERRORS], MOST_ERRORS)
    return (
        weights[0] * math.log(max(cost, LEAST_COST))
        + weights[1] * math.log(max(latency, LEAST_LATENCY))
        - weights[2] * math.log(1.0 - errors)
    )


STRATEGY = Strategy(
    id="balanced",
    says="Cost, time and reliability weighed against each other, by the model's `weights`.",
    reads=(COST, FIRST_TOKEN, SPEED, OUTPUT, ERRORS),
    score=score,
)
