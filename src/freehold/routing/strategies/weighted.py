"""Shares of the traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence

from freehold.routing.features import DRAW, WEIGHT
from freehold.routing.strategies import Strategy


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """An exponential draw with the weight as its rate: the smallest of several is each with its share.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006: the order of all draws is a weighted
    sample without replacement, so that the second choice has its share, too.
    """
    return -math.log(1.0 - row[DRAW]) / row[WEIGHT]


STRATEGY = Strategy(
    id="weighted", says="Each target has the share that its `weight` says.", reads=(WEIGHT, DRAW), score=score
)
