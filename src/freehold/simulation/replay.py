"""One replay: a world, a strategy, a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from freehold.routing.features import COST, DRAW, ERRORS, FIRST_TOKEN, ORDER, OUTPUT, SPEED, WEIGHT
from freehold.routing.strategies import STRATEGIES, Strategy
from freehold.simulation import compiling, kernel
from freehold.simulation.kernel import CHECKED, ENTRY, IN_TURN, OPEN, RACING, Run, prepare
from freehold.simulation.trace import Records
from freehold.simulation.world import Rules, World

ROOM: Final = 16384
"""Requests that may be under way at once."""
CONDUCTS: Final = {"in-turn": IN_TURN, "racing": RACING, "checked": CHECKED}
WEIGHTS: Final = (1.0, 1.0, 1.0)
_FILLED: Final = {ORDER, WEIGHT, COST, FIRST_TOKEN, SPEED, ERRORS, OUTPUT, DRAW}
REPLAYED: Final = {each.id: each for each in STRATEGIES.values() if _FILLED.issuperset(each.reads)}
"""Strategies that can be replayed: those that do not read of caches and commitments, which a replay does not follow."""

_kernels: dict[object, Callable[..., None]] = {}
_scores: dict[str, Callable[..., float]] = {}


def replay(
    world: World,
    strategy: Strategy,
    rules: Rules,
    *,
    weights: tuple[float, float, float] = WEIGHTS,
    diary: Records | None = None,
    compiled: bool = compiling.AVAILABLE,
) -> Records:
    """What became of every request of the world's trace, by the strategy's own score."""
    rules = rules._replace(conduct=CONDUCTS[strategy.conduct])
    room = min(ROOM, len(world.requests))
    run = prepare(world, rules, np.array(weights), np.zeros(0, ENTRY) if diary is None else diary, room)
    score, loop = _machine(strategy, run) if compiled else (strategy.score, kernel.replay)
    loop(score, run)
    if np.any(run.outcome["end"] == OPEN):
        raise RuntimeError("a request was neither answered nor failed")
    return run.outcome


def _machine(strategy: Strategy, run: Run) -> tuple[Callable[..., float], Callable[..., None]]:
    """The score and the loop in machine code, each made once; the loop takes any score."""
    signature = compiling.score_signature()
    if strategy.id not in _scores:
        _scores[strategy.id] = compiling.compiled(strategy.score, signature)
    kind = compiling.kernel_signature(signature, run)
    if kind not in _kernels:
        _kernels[kind] = compiling.compiled(kernel.replay, kind)
    return _scores[strategy.id], _kernels[kind]
