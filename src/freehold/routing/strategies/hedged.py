"""The fastest first, and the next one beside it when it is slow to begin."""

from __future__ import annotations

from freehold.routing.features import DRAW, FIRST_TOKEN, OUTPUT, SPEED
from freehold.routing.strategies import Strategy
from freehold.routing.strategies.fastest import score

STRATEGY = Strategy(
    id="hedged",
    says="As `fastest`; when the first is slower to begin than it usually is, the next is asked beside it.",
    reads=(FIRST_TOKEN, SPEED, OUTPUT, DRAW),
    score=score,
    conduct="racing",
)
