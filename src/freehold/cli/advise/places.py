"""Which kinds of place suit a workload: rules, each with its figure, its threshold and its reason.

The how-to guide lists them; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from freehold.cli.advise.state import SHARED, Verdict

Kind: TypeAlias = Literal["on demand", "committed", "own hardware", "batch", "long context", "cache-friendly"]

CACHEABLE: Final = 1024
"""Tokens of an input, below which OpenAI, Anthropic and Google cache nothing for most models (2026)."""
LONG: Final = 32_000
"""Tokens of context that 5 % of requests exceed: beyond it small models' windows end, and attention costs dominate."""
ABOVE_STEP: Final = 0.01
"""Share of requests above a price step from which the step shows in the bill: at twice the price, a per cent of it."""
SMALL: Final = 1.0
"""US dollars an hour, below which no commitment is worth its paperwork: 730 a month."""
STEADY: Final = 0.5
"""Load factor from which hardware of one's own is busy enough: half of it idles, even so."""
BURSTY: Final = 0.25
"""Load factor up to which a load comes in bursts: four times its mean in its busy hours."""


_STATES: Final[Mapping[Verdict, str]] = {
    "stateful": "continues what was said",
    "shared prefix": "shares prefixes",
    "stateless": "repeats itself",
    "unknown": "repeats itself",
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A workload in the figures that the rules read. `factor` is its load factor, `usd_per_hour` its cost by use."""

    requests: int
    state: Verdict
    reused: float
    mean_input: float
    p95_context: float
    above_step: float
    factor: float | None
    usd_per_hour: float | None
    streamed: float | None


class Suits(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of place that suits, and why, with the figure and its threshold."""

    place: Kind
    why: str


def suits(facts: Facts, *, discount: float, server_hour: float) -> Iterator[Suits]:
    """The kinds of place that suit. Where nothing speaks for a commitment, that is on demand.

    `discount` is what a commitment is cheaper by, as a share; `server_hour` what a server that could carry the load
    costs an hour, in US dollars.
    """
    committed = list(_commitments(facts, discount=discount, server_hour=server_hour))
    yield from committed or [_on_demand(facts, discount)]
    if facts.streamed == 0.0 and facts.state != "stateful":
        bursty = facts.factor is not None and facts.factor <= BURSTY
        comes = f" and it comes in bursts (load factor {facts.factor:.2f})" if bursty else ""
        yield Suits(place="batch", why=f"nothing is streamed{comes}: half the price where answers may wait")
    if facts.p95_context > LONG:
        yield Suits(place="long context", why=f"5 % of requests exceed {facts.p95_context:,.0f} tokens, over {LONG:,}")
    elif facts.above_step >= ABOVE_STEP:
        why = f"{facts.above_step:.1%} of requests exceed a price step: prefer a place without it for those"
        yield Suits(place="long context", why=why)
    if facts.mean_input >= CACHEABLE and (facts.state in {"stateful", "shared prefix"} or facts.reused >= SHARED):
        reused = f"; {facts.reused:.0%} of the input is known to repeat" if facts.reused else ""
        means = f"{facts.mean_input:,.0f} input tokens at the mean"
        why = f"it {_STATES[facts.state]}, with {means}{reused}: stay where it is warm"
        yield Suits(place="cache-friendly", why=why)


def _commitments(facts: Facts, *, discount: float, server_hour: float) -> Iterator[Suits]:
    factor, usd = facts.factor, facts.usd_per_hour
    if factor is None or usd is None or usd < SMALL:
        return
    needed = 1.0 - discount
    if factor >= needed:
        pays = f"{needed:.2f} pays at {discount:.0%} off"
        why = f"its load factor is {factor:.2f}, and {pays}; {usd:,.2f} USD an hour by use"
        yield Suits(place="committed", why=why)
    if usd >= server_hour and factor >= STEADY:
        why = f"{usd:,.2f} USD an hour by use exceed {server_hour:,.2f} for a server, at a load factor of {factor:.2f}"
        yield Suits(place="own hardware", why=why)


def _on_demand(facts: Facts, discount: float) -> Suits:
    factor, usd = facts.factor, facts.usd_per_hour
    if factor is None or usd is None:
        why = "neither its peak nor its cost is known well enough to commit to anything"
    elif usd < SMALL:
        why = f"{usd:,.2f} USD an hour are too little to commit to, under {SMALL:,.2f}"
    else:
        why = f"its load factor is {factor:.2f}, and a commitment pays from {1.0 - discount:.2f}"
    return Suits(place="on demand", why=why)
