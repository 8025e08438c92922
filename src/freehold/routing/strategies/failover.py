"""The order written down."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.routing.features import ORDER
from freehold.routing.strategies import Strategy


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """The place in the configuration."""
    return row[ORDER]


STRATEGY = Strategy(id="failover", says="The first that can answer, in the order written.", reads=(ORDER,), score=score)
