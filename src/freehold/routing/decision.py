"""The decision: a verdict for every candidate, and so the explanation, too.

`decide` is pure: the same request, candidates, standings and time give the same verdicts. What can not be (a window too
small, a medium not taken, an operator's word, an open breaker) is a `Rejection` with its evidence; everything else is
accepted with the numbers that its score was made of, and the lowest score is asked first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from freehold.routing.features import (
    ERRORS,
    FIRST_TOKEN,
    NAMES,
    SPEED,
    WELL,
    Ask,
    Candidate,
    Features,
    Standing,
    features,
)
from freehold.routing.strategies import Strategy

Reason: TypeAlias = Literal["context", "modality", "disabled", "broken", "cooling"]
"""Why a target may not be asked; the first that holds is given."""

FINAL: frozenset[Reason] = frozenset({"disabled"})
"""Reasons that hold even when there is nobody else. The others bend then: health is a guess, a fact in a data file may
be old, and the provider can say itself what it does not take."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How to choose: a strategy, and the weights of cost, latency and errors for one that weighs them."""

    strategy: Strategy
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)


MEASURED: Final = frozenset({FIRST_TOKEN, SPEED, ERRORS})
"""Places of a row that a bench may have filled."""


class Accepted(msgspec.Struct, frozen=True, tag_field="verdict", tag="accepted"):
    """May be asked. `forced`: only because nobody else could be.

    `bench_age` is the seconds since a bench measured it; None where live traffic did, or nobody.
    """

    target: str
    score: float
    features: Features
    forced: bool = False
    bench_age: float | None = None

    def terms(self, strategy: Strategy) -> dict[str, float]:
        """The score and the numbers that the strategy made it of, by name; what is not known (infinite) is left out."""
        said = {"score": self.score, **{NAMES[place]: self.features[place] for place in strategy.reads}}
        if self.bench_age is not None and not MEASURED.isdisjoint(strategy.reads):
            said["bench_age_s"] = self.bench_age
        return {name: value for name, value in said.items() if math.isfinite(value)}


class Rejection(msgspec.Struct, frozen=True, tag_field="verdict", tag="rejected"):
    """May not be asked, and why; `evidence` is what a person would want to see."""

    target: str
    reason: Reason
    evidence: str


Verdict: TypeAlias = Accepted | Rejection


class Decision(msgspec.Struct, frozen=True):
    """The verdicts, in the order of the candidates."""

    strategy: str
    verdicts: tuple[Verdict, ...]

    def order(self) -> list[str]:
        """The targets to ask, best first."""
        accepted = [verdict for verdict in self.verdicts if isinstance(verdict, Accepted)]
        accepted.sort(key=_by_score)
        return [verdict.target for verdict in accepted]

    def scores(self, strategy: Strategy) -> dict[str, dict[str, float]]:
        """The scores of those that may be asked, broken down."""
        return {each.target: each.terms(strategy) for each in self.verdicts if isinstance(each, Accepted)}

    def rejections(self) -> list[Rejection]:
        """Those that may not be asked."""
        return [verdict for verdict in self.verdicts if isinstance(verdict, Rejection)]


def decide(
    ask: Ask,
    candidates: Sequence[Candidate],
    standings: Mapping[str, Standing],
    rule: Rule,
) -> Decision:
    """A verdict for every candidate. Where nobody is accepted, those that no operator disabled are."""
    strategy, weights = rule.strategy, rule.weights
    score, reads = strategy.score, strategy.reads
    verdicts: list[Verdict] = []
    rejected = 0
    for order, candidate in enumerate(candidates):
        standing = standings.get(candidate.name, WELL)
        rejection = _rejection(candidate, standing, ask)
        if rejection is None:
            row = features(order, candidate, standing, ask, reads)
            verdicts.append(Accepted(candidate.name, score(row, weights), row, bench_age=_age(standing, ask)))
        else:
            rejected += 1
            verdicts.append(rejection)
    if rejected == len(verdicts):
        for order, (candidate, verdict) in enumerate(zip(candidates, verdicts, strict=True)):
            if isinstance(verdict, Rejection) and verdict.reason not in FINAL:
                standing = standings.get(candidate.name, WELL)
                row = features(order, candidate, standing, ask, reads)
                verdicts[order] = Accepted(
                    candidate.name, score(row, weights), row, forced=True, bench_age=_age(standing, ask)
                )
    return Decision(strategy.id, tuple(verdicts))


def _rejection(candidate: Candidate, standing: Standing, ask: Ask) -> Rejection | None:
    """Why a candidate may not be asked; None where it may."""
    if standing.disabled:
        return Rejection(candidate.name, "disabled", standing.disabled)
    if ask.judged and candidate.context is not None:
        least = int(ask.text * candidate.least_per_byte)
        if least > candidate.context:
            evidence = f"at least {least} tokens, and a window of {candidate.context}"
            return Rejection(candidate.name, "context", evidence)
    if ask.kinds and candidate.takes and not ask.kinds <= candidate.takes:
        missing = ", ".join(sorted(ask.kinds - candidate.takes))
        return Rejection(candidate.name, "modality", f"does not take {missing}")
    if standing.broken:
        return Rejection(candidate.name, "broken", f"the breaker of {standing.broken} is open")
    if standing.cooling:
        return Rejection(candidate.name, "cooling", "it asked to be left alone (Retry-After)")
    return None


def _age(standing: Standing, ask: Ask) -> float | None:
    return max(ask.at - standing.measured_at, 0.0) if standing.measured_at else None


def _by_score(verdict: Accepted) -> tuple[float, float]:
    return (verdict.score, verdict.features[0])
