"""What a decision looks at: a request in numbers, facts about candidates, and how they have been doing.

A candidate becomes a row of numbers, so that a strategy is a function of numbers alone: the same function can be
compiled and replayed over a trace. The places in a row have names here; a value that is not known is infinite where
less is better.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

import msgspec

from freehold.providers.schema import PromptCache
from freehold.routing.commitments import Commitment
from freehold.routing.tariffs import Tariff

ORDER: Final = 0
"""Place in the configuration, from 0."""
WEIGHT: Final = 1
"""The share that the configuration gives it."""
COST: Final = 2
"""Expected cost of this request in USD, with price steps, cached tokens and discounts; infinite where unknown."""
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
INPUT: Final = 8
"""Tokens that the request is expected to have, as this candidate counts them."""
CACHED: Final = 9
"""How many of them it is expected to read from its cache."""
LATER: Final = 10
"""Expected cost in USD of a later request of the conversation, when this one has warmed the cache."""
AHEAD: Final = 11
"""How many later requests of the conversation are expected."""
MARGINAL: Final = 12
"""What this request is expected to add to the bill in USD, by what has been committed to; infinite where refused."""
HEADROOM: Final = 13
"""What is left of the commitment: tokens that fit now, or USD that are due and not spent; infinite where none is."""

NAMES: Final = (
    "order",
    "weight",
    "cost_usd",
    "first_token_s",
    "tokens_per_s",
    "errors",
    "output_tokens",
    "draw",
    "input_tokens",
    "cached_tokens",
    "later_usd",
    "requests_ahead",
    "marginal_usd",
    "headroom",
)
"""The places of a row as explanations call them."""

Features: TypeAlias = tuple[float, ...]
"""One candidate's row, by the places above."""

_WORD: Final = 2.0**32
_MASK: Final = 2**32 - 1
_STEP: Final = 0x9E3779B9


class Warmth(msgspec.Struct, frozen=True, kw_only=True):
    """What candidates' caches are expected to do for a conversation, by the candidates' names.

    `cached` are the tokens of this request that are expected there; `again` the share of it that a later request would
    read once this one has been answered there; `ahead` is how many later requests are expected.
    """

    cached: Mapping[str, float] = {}
    again: Mapping[str, float] = {}
    ahead: float = 1.0


COLD: Final = Warmth()
"""A conversation of which nothing is known."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request in numbers.

    `text` is its length in bytes of text, `media` the tokens that its pictures and files are taken for; `judged` says
    whether it is so long that context windows matter. `output_tokens` is what the answer is expected to have. `kinds`
    are the media that the request holds: `image`, `pdf`, `audio`, `video`. `draw` is chance, 0 up to 1. `at` is Unix
    time, by which prices change. `free` is what is left of commitments, by their names.
    """

    text: float = 0.0
    media: float = 0.0
    judged: bool = False
    output_tokens: float = 500.0
    kinds: frozenset[str] = frozenset()
    draw: float = 0.0
    at: float = 0.0
    warmth: Warmth = COLD
    free: Mapping[str, float] = {}


UNASKED: Final = Ask()
"""No request yet."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a place before any request: who it is, what it can take, what it costs.

    `domains` are what it is lost together with, each as `kind:name`: its account, provider, region, cloud, silicon and
    jurisdiction. `context` is the window in tokens; `takes` what it takes (`text`, `image`, ...), empty where that is
    not known. `per_byte` is how many tokens a byte of text is on average, `least_per_byte` what it surely exceeds.
    `cache` is what its provider says of its cache, `commitment` what was paid for in advance.
    """

    name: str
    weight: float = 1.0
    domains: tuple[str, ...] = ()
    context: int | None = None
    takes: frozenset[str] = frozenset()
    tariff: Tariff | None = None
    per_byte: float = 0.25
    least_per_byte: float = 0.1
    cache: PromptCache | None = None
    commitment: Commitment | None = None


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
    cost = later = marginal = headroom = math.inf
    cached = 0.0
    tokens = expected_input(candidate, ask)
    if COST in reads:
        warmth = ask.warmth
        if warmth.cached:
            cached = min(warmth.cached.get(candidate.name, 0.0), tokens)
        if candidate.tariff is not None:
            _, fresh, read, said = candidate.tariff.rung(tokens, ask.at)
            answer = ask.output_tokens * said if ask.output_tokens else 0.0
            cost = tokens * fresh - cached * (fresh - read) + answer
            if LATER in reads:
                later = tokens * (fresh - warmth.again.get(candidate.name, 0.0) * (fresh - read)) + answer
        if MARGINAL in reads:
            marginal, commitment = cost, candidate.commitment
            if commitment is not None:
                headroom = ask.free.get(commitment.name, 0.0)
                marginal = commitment.marginal(cost, weight(candidate, ask), headroom)
    return (
        order,
        candidate.weight,
        cost,
        math.inf if standing.first_token is None else standing.first_token,
        standing.speed or 0.0,
        standing.errors,
        ask.output_tokens,
        chance_of(ask.draw, order) if DRAW in reads else 0.0,
        tokens,
        cached,
        later,
        ask.warmth.ahead,
        marginal,
        headroom,
    )


def expected_input(candidate: Candidate, ask: Ask) -> float:
    """Tokens that the request is expected to have, as the candidate counts them."""
    return ask.text * candidate.per_byte + ask.media


def weight(candidate: Candidate, ask: Ask) -> float:
    """What a request is expected to take of the candidate's commitment; 0 where there is none."""
    if candidate.commitment is None:
        return 0.0
    fresh = max(expected_input(candidate, ask) - ask.warmth.cached.get(candidate.name, 0.0), 0.0)
    return candidate.commitment.weight(fresh, ask.output_tokens)


def chance_of(draw: float, order: int) -> float:
    """A candidate's own chance: the exchange's, mixed with its place by the finaliser of MurmurHash3 (32 bit)."""
    mixed = (int(draw * _WORD) + (order + 1) * _STEP) & _MASK
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _MASK
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _MASK
    return (mixed ^ mixed >> 16) / _WORD
