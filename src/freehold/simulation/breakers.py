"""The rules of `routing.health` on arrays: breakers of targets and domains, cool-downs, moving averages.

The breakers of the targets come first, then those of the domains. The thresholds are `routing.health`'s own; a test
holds both equal over every step of a replay.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from freehold.routing.health import (
    FAULTS_TO_OPEN,
    LONGEST_COOLING,
    OPEN_FIRST,
    OPEN_LONGEST,
    PROBE_LOST,
    SMOOTHING,
    TARGETS_TO_OPEN,
)
from freehold.simulation.trace import Integers, Item, Records

CALLER: Final = 0
"""Kinds of failure, by whose fault they are: the caller's (too long for the window)."""
TARGET: Final = 1
"""The target's: unavailable, silent, broken."""
RATE_LIMIT: Final = 2
"""The target's, who says when to come back."""

BREAKER: Final = np.dtype(
    [
        ("faults", np.int64),  # in a row
        ("until", np.float64),  # when the next probe may go; 0: closed
        ("lasts", np.float64),
        ("probing", np.float64),
        ("down", np.int64),  # of a domain: its targets whose own breakers are open, a bit each
    ]
)
STANDING: Final = np.dtype(
    [
        ("cooling", np.float64),  # until when
        ("errors", np.float64),
        ("first_token", np.float64),  # infinite where nothing was measured
        ("speed", np.float64),  # 0 where nothing was measured
        ("first_token_weight", np.float64),  # of all readings together, 0 up to 1
        ("speed_weight", np.float64),
        ("flying", np.int64),  # requests under way
        ("step", np.int64),  # of its troubles
    ]
)
MOST_TARGETS: Final = 62
"""As many as a number has bits."""


def closed(count: int) -> Records:
    """Breakers of which nothing is known."""
    breakers = np.zeros(count, BREAKER)
    breakers["lasts"] = OPEN_FIRST
    return breakers


def unknown(count: int) -> Records:
    """Targets of which nothing is known."""
    standings = np.zeros(count, STANDING)
    standings["first_token"] = math.inf
    return standings


def blocks(breaker: Item, now: float) -> bool:
    """Whether a breaker keeps requests away."""
    return breaker["until"] > 0.0 and (now < breaker["until"] or now < breaker["probing"])


def may_be_asked(breakers: Records, standing: Item, target: int, domains: Integers, now: float) -> bool:
    """Whether neither a breaker nor a cool-down speaks against a target."""
    for domain in domains:
        if domain >= 0 and blocks(breakers[domain], now):
            return False
    return not (standing["cooling"] > now or blocks(breakers[target], now))


def asked(breakers: Records, target: int, domains: Integers, now: float) -> None:
    """A request goes to a target: where a breaker is open, it is its probe."""
    _probe(breakers[target], now)
    for domain in domains:
        if domain >= 0:
            _probe(breakers[domain], now)


def answered(breakers: Records, standing: Item, target: int, domains: Integers, first: float, speed: float) -> None:
    """A target answered: seconds to its first token and tokens a second after that (0: not known)."""
    settle(breakers, target, domains)
    weight = _heavier(standing["first_token_weight"])
    standing["first_token_weight"] = weight
    known = standing["first_token"]
    standing["first_token"] = first if known == math.inf else known + SMOOTHING / weight * (first - known)
    if speed > 0.0:
        weight = _heavier(standing["speed_weight"])
        standing["speed_weight"] = weight
        known = standing["speed"]
        standing["speed"] = speed if known == 0.0 else known + SMOOTHING / weight * (speed - known)
    standing["errors"] *= 1.0 - SMOOTHING


def settle(breakers: Records, target: int, domains: Integers) -> None:
    """It answered, if only to say that the caller is wrong: its breaker closes, and those of its domains."""
    _close(breakers[target])
    for domain in domains:
        if domain >= 0:
            _close(breakers[domain])


def failed(
    breakers: Records, standing: Item, target: int, domains: Integers, kind: int, now: float, after: float
) -> None:
    """A target failed; `after` is the time in seconds for which it asked to be left alone, negative for none."""
    if kind == CALLER:
        settle(breakers, target, domains)
        return
    standing["errors"] += SMOOTHING * (1.0 - standing["errors"])
    if after >= 0.0:
        standing["cooling"] = now + min(after, LONGEST_COOLING)
    if after >= 0.0 and kind == RATE_LIMIT:
        breakers[target]["probing"] = 0.0
    else:
        _fail(breakers[target], now, FAULTS_TO_OPEN)
    down = breakers[target]["until"] > 0.0
    for domain in domains:
        if domain < 0:
            continue
        breaker = breakers[domain]
        if kind == RATE_LIMIT:
            _close(breaker)
            continue
        if down:
            breaker["down"] |= 1 << target
        if breaker["until"] > 0.0 or _bits(breaker["down"]) >= TARGETS_TO_OPEN:
            _fail(breaker, now, 1)


def _heavier(weight: float) -> float:
    """The weight of an average's readings with one more; see `health._Average`."""
    return weight + SMOOTHING * (1.0 - weight)


def _bits(number: int) -> int:
    count = 0
    while number:
        number &= number - 1
        count += 1
    return count


def _probe(breaker: Item, now: float) -> None:
    if 0.0 < breaker["until"] <= now:
        breaker["probing"] = now + PROBE_LOST


def _close(breaker: Item) -> None:
    breaker["faults"] = 0
    breaker["until"] = 0.0
    breaker["probing"] = 0.0
    breaker["lasts"] = OPEN_FIRST
    breaker["down"] = 0


def _fail(breaker: Item, now: float, limit: int) -> None:
    breaker["faults"] += 1
    breaker["probing"] = 0.0
    if breaker["until"] > 0.0:
        if now >= breaker["until"]:
            breaker["lasts"] = min(breaker["lasts"] * 2.0, OPEN_LONGEST)
            breaker["until"] = now + breaker["lasts"]
    elif breaker["faults"] >= limit:
        breaker["until"] = now + breaker["lasts"]
