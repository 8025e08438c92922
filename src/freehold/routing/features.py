"""What a decision looks at: a request in numbers, facts about candidates, and how they have been doing.

A candidate becomes a row of numbers, so that a strategy is a function of numbers alone: the same function can be
compiled and replayed over a trace. The places in a row have names here; a value that is not known is infinite where
less is better.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, TypeAlias

import msgspec

from freehold.ir import Usage
from freehold.providers.prices import Row as PriceRow
from freehold.providers.prices import cost

ORDER: Final = 0
"""Place in the configuration, from 0."""
WEIGHT: Final = 1
"""The share that the configuration gives it."""
COST: Final = 2
"""Expected cost of this request in USD, context-length price steps included; infinite where no price is known."""
FIRST_TOKEN: Final = 3
"""Expected seconds to the first token; infinite where it was never measured."""
SPEED: Final = 4
"""Expected tokens a second after the first; 0 where it was never measured."""
ERRORS: Final = 5
"""Share of recent attempts that failed by the target's own fault, 0 to 1."""
OUTPUT: Final = 6
"""Tokens that the answer is expected to have."""
DRAW: Final = 7
"""This exchange's share of chance for this candidate, 0 up to 1; the same exchange draws the same again."""

NAMES: Final = ("order", "weight", "cost_usd", "first_token_s", "tokens_per_s", "errors", "output_tokens", "draw")
"""The places of a row as explanations call them."""

Features: TypeAlias = tuple[float, ...]
"""One candidate's row, by the places above."""

_NANO: Final = 1e-9
_WORD: Final = 2.0**32
_MASK: Final = 2**32 - 1
_STEP: Final = 0x9E3779B9


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request in numbers.

    `input_tokens` is an estimate; `at_least` a count that it surely exceeds, by which a context window is judged.
    `output_tokens` is what the answer is expected to have. `kinds` are the media that the request holds: `image`,
    `pdf`, `audio`, `video`. `draw` is chance, 0 up to 1. `at` is Unix time, by which prices change.
    """

    input_tokens: int = 0
    at_least: int = 0
    output_tokens: int = 500
    kinds: frozenset[str] = frozenset()
    draw: float = 0.0
    at: float = 0.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a place before any request: who it is, what it can take, what it costs.

    `domains` are what it fails together with, each as `kind:name`: its account, provider, region and cloud. `context`
    is the window in tokens; `takes` what it takes (`text`, `image`, ...), empty where that is not known.
    """

    name: str
    weight: float = 1.0
    domains: tuple[str, ...] = ()
    context: int | None = None
    takes: frozenset[str] = frozenset()
    price: PriceRow | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a target is doing at one moment.

    `disabled` is the operator's reason, `broken` the target or failure domain whose breaker is open. `first_token`,
    `speed` and `errors` are as in a row, None where nothing is known. `measured_at` is the Unix time of the bench that
    they rest on; 0: on live traffic.
    """

    disabled: str = ""
    broken: str = ""
    cooling: bool = False
    first_token: float | None = None
    speed: float | None = None
    errors: float = 0.0
    measured_at: float = 0.0


WELL: Final = Standing()
"""A target of which nothing is known."""


def features(order: int, candidate: Candidate, standing: Standing, ask: Ask, reads: Collection[int]) -> Features:
    """A candidate's row for a request; what costs something to know is there only where it is read."""
    expected: int | None = None
    if candidate.price is not None and COST in reads:
        usage = Usage(input_tokens=ask.input_tokens, output_tokens=ask.output_tokens)
        expected = cost(usage, candidate.price.at(ask.at))
    return (
        order,
        candidate.weight,
        math.inf if expected is None else expected * _NANO,
        math.inf if standing.first_token is None else standing.first_token,
        standing.speed or 0.0,
        standing.errors,
        ask.output_tokens,
        chance_of(ask.draw, order) if DRAW in reads else 0.0,
    )


def chance_of(draw: float, order: int) -> float:
    """A candidate's own chance: the exchange's, mixed with its place by the finaliser of MurmurHash3 (32 bit)."""
    mixed = (int(draw * _WORD) + (order + 1) * _STEP) & _MASK
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _MASK
    return (mixed ^ mixed >> 16) / _WORD
