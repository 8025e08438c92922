"""What an answer costs: price rows as plain values and the arithmetic on them, exact, in integers.

Rates are whole pico-dollars (10⁻¹² USD) a token: a million tokens for $1 are a million pico-dollars each. Costs are
whole nano-dollars (10⁻⁹ USD). Rows are computed once, by `price_book`, wherever the price list is loaded; from there
they go as values to the processes that serve requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import TypeAlias

import msgspec

from freehold.ir import Usage

DAY = 86400


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Pico-dollars a token. None: no rate of its own, so the kind is billed as plain input, or not at all (output).

    `cache_write` is for the usual, short-lived entries (5 minutes at Anthropic), `cache_write_1h` for an hour's.
    """

    input: int
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Rates for all tokens of a request whose input exceeds `above` tokens."""

    above: int
    rates: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a model at one time: base rates, and steps by input length in rising order."""

    base: Rates
    steps: tuple[Step, ...] = ()

    def rates(self, input_tokens: int) -> Rates:
        """The rates that a request of this input length pays."""
        for step in reversed(self.steps):
            if input_tokens > step.above:
                return step.rates
        return self.base


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A price and when it applies: from a Unix time on, and between two seconds of the UTC day where it has a window.

    A window whose end lies before its start reaches over midnight.
    """

    price: Price
    start: int | None = None
    window: tuple[int, int] | None = None

    def applies(self, now: float) -> bool:
        """Whether the price is in force at a Unix time."""
        if self.start is not None and now < self.start:
            return False
        if self.window is None:
            return True
        first, last = self.window
        second = now % DAY
        return first <= second < last if first <= last else second >= first or second < last


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """All that a price list says about one model; the last period that applies counts. `version` names the list."""

    periods: tuple[Period, ...]
    version: str

    def at(self, now: float) -> Price:
        """The price at a Unix time; the first period's where none applies."""
        first, *later = self.periods
        for period in reversed(later):
            if period.applies(now):
                return period.price
        return first.price


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A row and the model ids that it is for: a regular expression that begins to match at their first letter.

    None where the model is known not to be billed by tokens.
    """

    match: str
    row: Row | None


Prices: TypeAlias = Mapping[str, tuple[Listed, ...]]
"""What the models of some providers cost, by the provider's name; of several that match the first counts."""

_COMPACT_DATE = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=-|:|$)")


def find(prices: Prices, provider: str, model: str) -> Row | None:
    """What is known of the price of a provider's model; None where nothing is."""
    listed = prices.get(provider, ())
    name = model.lower()
    for spelling in dict.fromkeys((name, _COMPACT_DATE.sub(_dashed, name))):
        for each in listed:
            if _compiled(each.match).match(spelling):
                return each.row
    return None


@cache
def _compiled(match: str) -> re.Pattern[str]:
    """The standard library forgets after 512 of them, and a list of a reseller is longer."""
    return re.compile(match, re.DOTALL)


def _dashed(found: re.Match[str]) -> str:
    """`-20251211` as `-2025-12-11`, as lists write it; what is no date stays."""
    year, month, day = (int(digits) for digits in found.groups())
    try:
        return f"-{date(year, month, day).isoformat()}"
    except ValueError:
        return found[0]


def cost(usage: Usage, price: Price, *, cache_write_1h: int = 0) -> int | None:
    """The cost of a usage in nano-dollars, rounded half up; None where the usage or a rate that it needs is unknown.

    `usage.input_tokens` includes cached tokens, `output_tokens` includes reasoning. `cache_write_1h` is how many of
    `usage.cache_write` were written for an hour.
    """
    if usage.input_tokens is None:
        return None
    rates = price.rates(usage.input_tokens)
    read = usage.cache_read or 0
    written = usage.cache_write or 0
    long = min(cache_write_1h, written)
    short_rate = rates.input if rates.cache_write is None else rates.cache_write
    pico = (
        max(usage.input_tokens - read - written, 0) * rates.input
        + read * (rates.input if rates.cache_read is None else rates.cache_read)
        + (written - long) * short_rate
        + long * (short_rate if rates.cache_write_1h is None else rates.cache_write_1h)
    )
    if rates.output is not None:
        if usage.output_tokens is None:
            return None
        pico += usage.output_tokens * rates.output
    elif usage.output_tokens:
        return None
    return (pico + 500) // 1000
