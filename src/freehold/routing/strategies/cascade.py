"""The order written down, from small to large: the next one when an answer does not pass the check."""

from __future__ import annotations

from freehold.routing.features import ORDER
from freehold.routing.strategies import Strategy
from freehold.routing.strategies.failover import score

STRATEGY = Strategy(
    id="cascade",
    says="In the order written, small models first; an answer that does not pass the model's `check` is asked again of "
    "the next.",
    reads=(ORDER,),
    score=score,
    conduct="checked",
)
