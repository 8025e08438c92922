"""What a replay happens in: requests, places, prices and troubles as arrays, and the rules of the road."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from freehold.providers.prices import Row
from freehold.routing.features import Candidate
from freehold.simulation.bills import NEVER, Bills, bills
from freehold.simulation.outages import Incident, Troubles, troubles
from freehold.simulation.trace import Integers, Records, Trace


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A target and how it behaves while nothing is wrong.

    `first_token` and `prefill` are seconds, once and for each input token that its cache has not; `speed` is output
    tokens a second; with `capacity` requests under way it answers half as fast, and refuses more. `passes` is the share
    of its answers with which a check is content.
    """

    candidate: Candidate
    price: Row
    first_token: float
    prefill: float
    speed: float
    capacity: int
    passes: float = 1.0


class Rules(NamedTuple):
    """How the road, the client and the providers behave, where a trace does not say it; times in seconds."""

    seed: int = 0
    conduct: int = 0
    """0: one after another; 1: the next one beside a slow one; 2: the next one after a poor answer."""
    expected_output: int = 500
    """Tokens that a decision takes an answer to have, as the road does."""
    attempts: int = 4
    """Most attempts of an exchange: the default of `limits.attempts`."""
    deadline: float = 120.0
    """How long the client waits for the whole answer, its own retries included."""
    retries: int = 2
    """How often the client asks again by itself: the official SDKs' default."""
    backoff: float = 0.5
    """How long it waits before, doubled each time: the official SDKs' default, without their jitter."""
    wait_at_most: float = 5.0
    """How long the road waits itself for a target that says when to come back."""
    jitter: float = 0.2
    """Part of that wait that is added at most."""
    sigma: float = 0.3
    """Spread of latencies: the standard deviation of their logarithm."""
    failing: float = 0.002
    """Share of attempts that fail while nothing is wrong."""
    stalling: float = 0.1
    """Share of failures that are silence until `silence`; the others are said after `refusal`."""
    silence: float = 30.0
    refusal: float = 0.5
    comeback: float = 2.0
    """Retry-After of a target that has as many requests as it takes."""
    cache: float = 300.0
    """How long a provider's cache holds a prefix after its last use."""
    retry_share: float = 0.2
    """What a target may be asked at second hand: the default of `limits.retry_share`."""
    hedge_share: float = 0.95
    hedge_after: float = 5.0
    hedge_cost: float = 0.05
    """When the next is asked beside the first, and what losers may cost: the defaults of a model's `hedge`."""


REQUEST: Final = np.dtype(
    [
        ("arrival", np.float64),
        ("input", np.int64),
        ("output", np.int64),
        ("session", np.int64),
        ("shared", np.int64),
    ]
)
"""A row of a trace."""
PLACE: Final = np.dtype(
    [
        ("key", np.int64),  # what it draws its chance by
        ("weight", np.float64),
        ("context", np.int64),
        ("capacity", np.float64),
        ("first_token", np.float64),
        ("prefill", np.float64),
        ("speed", np.float64),
        ("passes", np.float64),
    ]
)
"""The facts about a target."""


class World(NamedTuple):
    """All that a replay needs besides a strategy."""

    names: tuple[str, ...]
    sessions: int
    requests: Records
    places: Records
    domains: Integers
    """The numbers of a target's breakers besides its own, -1 where there are fewer."""
    bills: Bills
    troubles: Troubles


def world(
    trace: Trace,
    places: Sequence[Place],
    incidents: Sequence[Incident],
    *,
    start: float,
    keys: Mapping[str, int] | None = None,
) -> World:
    """The arrays for a trace whose times count from `start` (Unix time).

    `keys` are what targets draw their chance by; a world with fewer targets has to be given those of the whole, so that
    the same target fares the same in both. Raises ValueError for a request that no target can take.
    """
    candidates = [place.candidate for place in places]
    names = tuple(each.name for each in candidates)
    if keys is None:
        keys = {name: number for number, name in enumerate(names)}
    known = sorted({domain for each in candidates for domain in each.domains})
    width = max(1, *(len(each.domains) for each in candidates))
    domains = np.full((len(places), width), -1, np.int64)
    for number, each in enumerate(candidates):
        domains[number, : len(each.domains)] = [len(places) + known.index(domain) for domain in each.domains]
    widest = max(NEVER if each.context is None else each.context for each in candidates)
    if trace.input.max(initial=0) > widest:
        raise ValueError(f"the longest request has {trace.input.max()} tokens, the largest window {widest}")
    end = start + float(trace.arrival[-1]) + 1.0
    requests = np.zeros(len(trace.arrival), REQUEST)
    for name, column in zip(REQUEST.names or (), trace, strict=True):
        requests[name] = column
    facts = [
        (
            keys[place.candidate.name],
            place.candidate.weight,
            NEVER if place.candidate.context is None else place.candidate.context,
            place.capacity,
            place.first_token,
            place.prefill,
            place.speed,
            place.passes,
        )
        for place in places
    ]
    return World(
        names=names,
        sessions=trace.sessions,
        requests=requests,
        places=np.array(facts, PLACE),
        domains=domains,
        bills=bills([place.price for place in places], start, end),
        troubles=troubles(candidates, incidents),
    )
