"""What the hedges of one model may cost: a share of what its exchanges cost, in a token bucket.

Every exchange puts in its share, every hedge takes out what it costs at least, and both are put right by what was
billed when the exchange is over. What is short then is missing for the next hedge, so that the sum of all that losers
were billed never exceeds the share of what winners were by more than the hedges that are under way. The unit is
nano-dollars where all targets of the model have a price, else exchanges.
"""

from __future__ import annotations

from typing import Final

MOST_SAVED: Final = 20.0
"""Hedges that a quiet time saves up at most: the share is one of *recent* spend."""
MOST_KNOWN: Final = 4096
"""Models remembered, more than a file states."""


class Purse:
    """What is left for the hedges of one model."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0.0

    def earn(self, spend: float, share: float) -> None:
        """An exchange is about to cost `spend`."""
        self.left += spend * share

    def take(self, price: float) -> bool:
        """Whether a hedge that is expected to cost `price` may be made; takes it, if so."""
        self.left = min(self.left, MOST_SAVED * price)
        # A whole share of a price is not always a whole number: what is short by rounding is there.
        if self.left < price * (1.0 - 1e-9):
            return False
        self.left -= price
        return True

    def correct(self, amount: float) -> None:
        """Put right what was expected: add what was too much, or take away what was too little."""
        self.left += amount


class Purses:
    """The purse of each model, in one process."""

    def __init__(self) -> None:
        self._purses: dict[str, Purse] = {}

    def of(self, model: str) -> Purse:
        """A model's purse."""
        purse = self._purses.get(model)
        if purse is None:
            if len(self._purses) >= MOST_KNOWN:
                del self._purses[next(iter(self._purses))]
            purse = self._purses[model] = Purse()
        return purse
