"""Price rows as arrays: what `providers.prices` says, for a loop that knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from freehold.providers.prices import DAY, Price, Rates, Row
from freehold.simulation.trace import Floats, Integers

NO_RATE: Final = -1
"""A rate that the price has not."""
NEVER: Final = 2**62
"""More tokens than any request has: a step that is not there."""


class Bills(NamedTuple):
    """Prices of all targets over time.

    `starts` are the seconds at which any of them changes. `rates[time, target, step]` are the input length from which
    a step counts, and its input, output, cache read and cache write, in pico-dollars.
    """

    starts: Floats
    rates: Integers


def bills(rows: Sequence[Row], start: float, end: float) -> Bills:
    """The arrays of some price rows over a span of Unix time; times in them count from `start`."""
    changes = sorted({start, *(each for row in rows for each in _changes(row, start, end))})
    prices = [[row.at(change) for row in rows] for change in changes]
    steps = 1 + max(len(price.steps) for at_once in prices for price in at_once)
    rates = np.full((len(changes), len(rows), steps, 5), NEVER, np.int64)
    for time, at_once in enumerate(prices):
        for target, price in enumerate(at_once):
            for step, (least, found) in enumerate(_steps(price)):
                rates[time, target, step] = (least, *_rates(found))
    return Bills(np.array(changes) - start, rates)


def _changes(row: Row, start: float, end: float) -> list[float]:
    found: list[float] = []
    for period in row.periods:
        if period.start is not None and start < period.start < end:
            found.append(period.start)
        if period.window is not None:
            days = range(int(start // DAY), int(end // DAY) + 1)
            found.extend(day * DAY + edge for day in days for edge in period.window if start < day * DAY + edge < end)
    return found


def _steps(price: Price) -> list[tuple[int, Rates]]:
    return [(-1, price.base), *((step.above, step.rates) for step in price.steps)]


def _rates(rates: Rates) -> tuple[int, ...]:
    kinds = (rates.input, rates.output, rates.cache_read, rates.cache_write)
    return tuple(NO_RATE if rate is None else rate for rate in kinds)


def nano_usd(steps: Integers, input_tokens: int, output_tokens: int, read: int, written: int) -> int:
    """What an answer costs in nano-dollars, as `providers.prices.cost` does; -1 where a rate is missing.

    `steps` are those of one target at one time.
    """
    step = 0
    while step + 1 < len(steps) and input_tokens > steps[step + 1, 0]:
        step += 1
    plain, output = int(steps[step, 1]), int(steps[step, 2])
    cached = plain if steps[step, 3] == NO_RATE else int(steps[step, 3])
    kept = plain if steps[step, 4] == NO_RATE else int(steps[step, 4])
    pico = max(input_tokens - read - written, 0) * plain + read * cached + written * kept
    if output != NO_RATE:
        pico += output_tokens * output
    elif output_tokens:
        return -1
    return (pico + 500) // 1000
