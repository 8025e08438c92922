"""Outages of providers, regions and clouds: drawn at the rates, durations and coincidence that status pages show.

A provider's incidents come at exponential gaps and last as long as its quantiles say: log-normal through median and
90th percentile, with a Pareto tail beyond that gives the mean. Some have a cause that everybody shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec
import numpy as np

from freehold.routing.features import Candidate
from freehold.simulation.trace import Floats, Integers, Records

DAY: Final = 86400.0
MINUTE: Final = 60.0
LONGEST: Final = 7 * DAY
"""No incident is taken to last longer; the tail is fitted with this in mind."""
EVERYBODY: Final = "everybody"
"""The domain of incidents with a common cause."""

_Z90: Final = NormalDist().inv_cdf(0.9)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's status page says: minutes that incidents last, and days between them."""

    median: float
    mean: float
    p90: float
    gap_median: float

    def tail(self) -> float:
        """The Pareto index beyond the 90th percentile that makes the mean right, by bisection."""
        sigma = math.log(self.p90 / self.median) / _Z90
        below = self.median * math.exp(sigma**2 / 2) * NormalDist().cdf(_Z90 - sigma)
        wanted = (self.mean - below) / 0.1
        low, high = 0.05, 50.0
        for _ in range(100):
            middle = (low + high) / 2
            ratio = self.p90 * MINUTE / LONGEST
            reached = self.p90 * (1.0 + (1.0 - ratio ** (middle - 1.0)) / (middle - 1.0))
            low, high = (middle, high) if reached > wanted else (low, middle)
        return low

    def durations(self, shares: Floats) -> Floats:
        """Seconds at these quantiles."""
        sigma = math.log(self.p90 / self.median) / _Z90
        normal = np.array([NormalDist().inv_cdf(min(max(share, 1e-9), 0.9)) for share in shares])
        body = self.median * np.exp(sigma * normal)
        beyond = np.minimum(np.maximum((1.0 - shares) / 0.1, 1e-12), 1.0)
        tail = self.p90 * beyond ** (-1.0 / self.tail())
        return np.minimum(np.where(shares <= 0.9, body, tail) * MINUTE, LONGEST)

    @property
    def gap(self) -> float:
        """Mean seconds between beginnings, by the exponential with that median."""
        return self.gap_median * DAY / math.log(2.0)


class Severity(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of incident: its share of all, the share of attempts that fail meanwhile, how much slower the others are.

    `longest` is how many seconds it lasts at most: what is gone altogether is mended first.
    """

    share: float
    failing: float
    slow: float
    longest: float = LONGEST


class Climate(msgspec.Struct, frozen=True, kw_only=True):
    """How often what goes wrong.

    `records` by provider; `common` is the share of incidents with a common cause. `scopes` are the shares of a
    provider's incidents that stay in one `region`, or take its whole `cloud`; the rest is the `provider`'s.
    """

    records: Mapping[str, Record]
    common: float
    severities: tuple[Severity, ...]
    scopes: Mapping[str, float]


class Incident(NamedTuple):
    """A time (seconds from the window's start) in which a domain is not well."""

    start: float
    end: float
    domain: str
    failing: float
    slow: float


TROUBLE: Final = np.dtype([("start", np.float64), ("failing", np.float64), ("slow", np.float64)])
"""From a time on: the share of attempts that fail, and how much slower the others are."""


class Troubles(NamedTuple):
    """How every target fares over time: its steps are `steps[first[target]:first[target + 1]]`."""

    first: Integers
    steps: Records


def incidents(climate: Climate, candidates: Sequence[Candidate], length: float, seed: int) -> list[Incident]:
    """What goes wrong in a window of `length` seconds; the same seed, the same."""
    found: list[Incident] = []
    providers = sorted({_named(each, "provider") for each in candidates})
    for number, provider in enumerate(providers):
        record = climate.records[provider]
        random = np.random.default_rng([seed, 1, number])
        members = [each for each in candidates if _named(each, "provider") == provider]
        for at, lasts, severity in _drawn(record, climate, record.gap / (1.0 - climate.common), length, random):
            domain = _scope(members, climate, random)
            found.append(Incident(at, at + lasts, domain, severity.failing, severity.slow))
    random = np.random.default_rng([seed, 2])
    rates = [climate.common / climate.records[provider].gap for provider in providers]
    record = climate.records[providers[0]]
    if climate.common > 0.0:
        gap = len(rates) / sum(rates)
        for at, lasts, severity in _drawn(record, climate, gap, length, random):
            found.append(Incident(at, at + lasts, EVERYBODY, severity.failing, severity.slow))
    return sorted(found)


def _drawn(
    record: Record, climate: Climate, gap: float, length: float, random: np.random.Generator
) -> list[tuple[float, float, Severity]]:
    begun = np.cumsum(random.exponential(gap, size=int(length / gap * 2) + 50))
    begun = begun[begun < length]
    lasts = record.durations(random.random(len(begun)))
    shares = [severity.share for severity in climate.severities]
    kinds = random.choice(len(shares), size=len(begun), p=shares)
    severities = [climate.severities[int(kind)] for kind in kinds]
    return [
        (float(at), min(float(time), severity.longest), severity)
        for at, time, severity in zip(begun, lasts, severities, strict=True)
    ]


def _scope(members: Sequence[Candidate], climate: Climate, random: np.random.Generator) -> str:
    """The domain that an incident of a provider takes."""
    where, which = random.random(), random.random()
    regions = sorted({domain for each in members for domain in each.domains if domain.startswith("region:")})
    clouds = sorted({domain for each in members for domain in each.domains if domain.startswith("cloud:")})
    region, cloud = climate.scopes.get("region", 0.0), climate.scopes.get("cloud", 0.0)
    if regions and where < region:
        return regions[int(which * len(regions))]
    if clouds and region <= where < region + cloud:
        return clouds[int(which * len(clouds))]
    return next(domain for domain in members[0].domains if domain.startswith("provider:"))


def _named(candidate: Candidate, kind: str) -> str:
    """The provider of a candidate, by name."""
    return next(domain.partition(":")[2] for domain in candidate.domains if domain.startswith(f"{kind}:"))


def troubles(candidates: Sequence[Candidate], incidents: Sequence[Incident]) -> Troubles:
    """The steps of every target; where incidents overlap, either can fail an attempt, and the slower counts."""
    first = [0]
    steps: list[tuple[float, float, float]] = []
    for candidate in candidates:
        mine = [each for each in incidents if each.domain == EVERYBODY or each.domain in candidate.domains]
        for at in sorted({0.0, *(each.start for each in mine), *(each.end for each in mine)}):
            active = [each for each in mine if each.start <= at < each.end]
            failing = 1.0 - math.prod(1.0 - each.failing for each in active)
            steps.append((at, failing, max((each.slow for each in active), default=1.0)))
        first.append(len(steps))
    return Troubles(np.array(first, np.int64), np.array(steps, TROUBLE))
