"""Prices as a decision needs them: floats, worked out once, so that the cost of a request is four multiplications.

What is recorded and billed is computed by `providers.prices`, exactly, in integers.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import msgspec

from freehold.providers.prices import Period, Price, Rates, Row

Rung: TypeAlias = tuple[float, float, float, float]
"""From more than how many input tokens on, and USD for one of them, for one read from a cache, for one of output."""

_PICO: Final = 1e-12


class Tariff(msgspec.Struct, frozen=True):
    """A price row in floats: the rungs of each period, the dearest first; the last rung holds for every length."""

    ladders: tuple[tuple[Period, tuple[Rung, ...]], ...]

    def rung(self, input_tokens: float, now: float) -> Rung:
        """What a request of this length pays at a Unix time; the last period that applies counts, else the first."""
        ladder = self.ladders[0][1]
        for period, later in self.ladders[:0:-1]:
            if period.applies(now):
                ladder = later
                break
        for rung in ladder:
            if input_tokens > rung[0]:
                return rung
        return ladder[-1]


def tariff_of(row: Row, discount: float = 0.0) -> Tariff:
    """The tariff of a price row, less a share that was negotiated."""
    return Tariff(tuple((period, _ladder(period.price, 1.0 - discount)) for period in row.periods))


def _ladder(price: Price, paid: float) -> tuple[Rung, ...]:
    steps = [_rung(step.above, step.rates, paid) for step in reversed(price.steps)]
    return (*steps, _rung(-1.0, price.base, paid))


def _rung(above: float, rates: Rates, paid: float) -> Rung:
    usd = paid * _PICO
    read = rates.input if rates.cache_read is None else rates.cache_read
    output = math.inf if rates.output is None else rates.output * usd
    return (above, rates.input * usd, read * usd, output)
