"""The lowest expected cost."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.routing.features import COST
from freehold.routing.strategies import Strategy


def score(row: Sequence[float], weights: Sequence[float]) -> float:  # noqa: ARG001 -- every strategy takes both
    """The expected cost of this request; a target without a price comes last."""
    return row[COST]


STRATEGY = Strategy(
    id="cheapest",
    says="The lowest expected cost of this request, with the price step that its length falls into.",
    reads=(COST,),
    score=score,
)
