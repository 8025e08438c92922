"""Chance that is the same for every strategy: a hash of who, when and what for.

What a target would have said to a request does not depend on who else was asked before. So differences between
strategies are differences between strategies, not luck (common random numbers). Plain arithmetic on integers: it gives
the same compiled and not.
"""

from __future__ import annotations

import math
from typing import Final

FAILS: Final = 1
"""Whether an attempt fails."""
STALLS: Final = 2
"""Whether a failure is silence until the time limit, or said at once."""
FIRST: Final = 3
"""How long the first token takes; this and the next."""
SPEED: Final = 5
"""How fast the others come; this and the next."""
DRAWS: Final = 7
"""The exchange's own chance."""
SETTLES: Final = 8
"""Whether a cheap answer passes the check."""

_MASK: Final = 2**32 - 1


def uniform(seed: int, request: int, target: int, purpose: int) -> float:
    """A number from 0 up to 1, by the rounds of MurmurHash3 (32 bit) over four numbers."""
    mixed = seed & _MASK
    for word in (request, target, purpose):
        taken = (int(word) * 0xCC9E2D51) & _MASK
        taken = (taken << 15 | taken >> 17) & _MASK
        mixed ^= (taken * 0x1B873593) & _MASK
        mixed = (mixed << 13 | mixed >> 19) & _MASK
        mixed = (mixed * 5 + 0xE6546B64) & _MASK
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _MASK
    return (mixed ^ mixed >> 16) / 4294967296.0


def spread(seed: int, request: int, target: int, purpose: int, sigma: float) -> float:
    """A log-normal factor with median 1; `sigma` is the standard deviation of its logarithm."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(seed, request, target, purpose)))
    return math.exp(sigma * radius * math.cos(2.0 * math.pi * uniform(seed, request, target, purpose + 1)))
