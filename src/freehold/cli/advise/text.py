"""Advice in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from freehold.cli.advise.sketch import Percentiles
from freehold.cli.advise.trend import Inflation
from freehold.cli.advise.workload import Advice, Fit

_DATED: Final = 1e9
"""Unix seconds of 2001: nothing was asked of language models before, so smaller numbers are no dates."""


def lines(advice: Advice) -> Iterator[str]:
    """One workload."""
    span = _span(advice.first, advice.last)
    yield f"{', '.join(advice.workload)}: {advice.requests:,} requests, {span}"
    yield _fact("state", advice.state.verdict)
    for evidence in advice.state.evidence:
        yield _fact("", f"{evidence.kind}: {evidence.why} ({evidence.says})")
    for name, spread in (("input", advice.input), ("output", advice.output), ("context", advice.context)):
        if spread is not None:
            yield _fact(name, _spread(spread))
    load = advice.load
    if load.factor is not None:
        said = (
            f"{load.mean:,.0f} tokens an hour at the mean, {load.p95:,.0f} in busy hours; load factor {load.factor:.2f}"
        )
        yield _fact("load", said)
    for name, inflation in (("input", advice.input_inflation), ("output", advice.output_inflation)):
        if inflation is not None:
            yield _fact("inflation", f"{name} {_inflation(inflation)}")
    if advice.cost_usd is not None:
        yield _fact("cost", f"{advice.cost_usd:,.4f} USD as recorded")
    for fit in advice.fits:
        yield _fact("target", _fit(fit))
    for suits in advice.suits:
        yield _fact("suits", f"{suits.place}: {suits.why}")
    for missing in advice.missing:
        yield _fact("not known", missing)


def _fact(name: str, said: str) -> str:
    return f"  {name:<10} {said}"


def _spread(spread: Percentiles) -> str:
    marks = f"50 % {spread.p50:,.0f}, 90 % {spread.p90:,.0f}, 95 % {spread.p95:,.0f}, 99 % {spread.p99:,.0f}"
    return f"{marks}, at most {spread.max:,}; mean {spread.mean:,.0f} tokens"


def _inflation(inflation: Inflation) -> str:
    sure = "" if inflation.low > 0 or inflation.high < 0 else ", which may be none"
    between = f"{inflation.low:+.1%} to {inflation.high:+.1%}"
    return f"{inflation.per_month:+.1%} in 30 days ({between}, from {inflation.days} days){sure}"


def _fit(fit: Fit) -> str:
    said = [fit.target]
    if fit.context is not None and fit.too_long is not None:
        said.append(f"window {fit.context:,} ({fit.too_long:.1%} too long)")
    if fit.step is not None and fit.above_step is not None:
        said.append(f"price step at {fit.step:,} ({fit.above_step:.1%} above)")
    if fit.usd is not None:
        said.append(f"{fit.usd:,.4f} USD for all at list price")
    return ", ".join(said)


def _span(first: float, last: float) -> str:
    """From when to when; a trace that counts from zero has a length only."""
    if first < _DATED:
        return f"{(last - first) / 3600:,.1f} hours"
    return f"{_moment(first)} to {_moment(last)}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
