"""Ways to choose among the targets that may answer, one file each: an id, a sentence, and a function of numbers.

`score` gives a candidate's row (`routing.features`) a number; the lowest is asked first. It sees no object, only the
row and the weights, so that it can be compiled. A file put here is a strategy: nothing else lists them but the type of
the setting, and a test compares the two.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final, Literal, TypeAlias

import msgspec

Score: TypeAlias = Callable[[Sequence[float], Sequence[float]], float]
"""A row and the weights (cost, latency, errors) to a score; the lowest is asked first."""


Conduct: TypeAlias = Literal["in-turn", "racing", "checked"]
"""How the chosen are asked: the next one when one has failed; beside it when it is slow; or when its answer is poor."""


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """One way to choose. `reads` are the places of the row that matter to it, for explanations."""

    id: str
    says: str
    reads: tuple[int, ...]
    score: Score
    conduct: Conduct = "in-turn"


def _load() -> dict[str, Strategy]:
    found: dict[str, Strategy] = {}
    for module in pkgutil.iter_modules(__path__):
        strategy = import_module(f"{__name__}.{module.name}").STRATEGY
        if not isinstance(strategy, Strategy):
            raise TypeError(f"{module.name}.STRATEGY is no Strategy")
        found[strategy.id] = strategy
    return found


STRATEGIES: Final[Mapping[str, Strategy]] = _load()
"""All of them, by id."""
