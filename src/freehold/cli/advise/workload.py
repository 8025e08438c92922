"""One workload, watched request by request in flat memory, and what is then known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from freehold.cli.advise.places import Facts, Suits, suits
from freehold.cli.advise.rows import Key, Use
from freehold.cli.advise.shape import Hours, Load
from freehold.cli.advise.sketch import Percentiles, Sketch
from freehold.cli.advise.state import Continuity, Memory, State
from freehold.cli.advise.trend import Days, Inflation
from freehold.ir import Usage
from freehold.providers.prices import Row, cost

MOST_WORKLOADS: Final = 200
"""Workloads that are told apart; requests of all others are one."""
OTHERS: Final[Key] = ("others",)
LEAST: Final = 100
"""Requests, below which nothing is recommended."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a target: its window in tokens and its prices; None is not known."""

    target: str
    context: int | None
    price: Row | None


Offers = Callable[[str], Sequence[Offer]]
"""The targets that answer for a model; none for one that nobody knows."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """How a workload fits a target.

    `too_long` is the share of requests whose input and output exceed the window, `above_step` the share whose input
    exceeds the first price step at `step` tokens. `usd` is what all requests cost there at list prices without a cache.
    """

    target: str
    context: int | None
    too_long: float | None
    step: int | None
    above_step: float | None
    usd: float | None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a workload. `missing` says what is not, and what it would take."""

    workload: tuple[str, ...]
    requests: int
    first: float
    last: float
    streamed: float | None
    state: State
    input: Percentiles | None
    output: Percentiles | None
    context: Percentiles | None
    load: Load
    input_inflation: Inflation | None
    output_inflation: Inflation | None
    cost_usd: float | None
    fits: tuple[Fit, ...]
    suits: tuple[Suits, ...]
    missing: tuple[str, ...]


class Workload:
    """The requests of one workload, in the order of their time."""

    def __init__(self, key: Key, offers: Offers, memory: Memory) -> None:
        self._key = key
        self._offers = offers
        self._models: Counter[str] = Counter()
        self._input, self._output, self._context = Sketch(), Sketch(), Sketch()
        self._inputs, self._outputs = Days(), Days()
        self._hours = Hours()
        self._continuity = Continuity(memory, key)
        self._first = self._last = 0.0
        self._streamed = self._stream_known = 0
        self._cost = self._priced = 0
        self._spent: dict[str, int] = {}

    def add(self, use: Use) -> None:
        """One request."""
        if not self._input.count:
            self._first = use.at
        self._first, self._last = min(self._first, use.at), max(self._last, use.at)
        if len(self._models) < MOST_WORKLOADS or use.model in self._models:
            self._models[use.model] += 1
        self._input.add(use.input)
        self._output.add(use.output)
        self._context.add(use.input + use.output)
        self._inputs.add(use.at, use.input)
        self._outputs.add(use.at, use.output)
        self._hours.add(use.at, use.input + use.output)
        self._continuity.add(use)
        if use.stream is not None:
            self._stream_known += 1
            self._streamed += use.stream
        if use.cost_nano_usd is not None:
            self._cost += use.cost_nano_usd
            self._priced += 1
        self._price(use)

    def _price(self, use: Use) -> None:
        usage = Usage(input_tokens=use.input, output_tokens=use.output)
        for offer in self._offers(use.model):
            spent = None if offer.price is None else cost(usage, offer.price.at(use.at))
            if spent is not None:
                self._spent[offer.target] = self._spent.get(offer.target, 0) + spent

    def report(self, *, discount: float, server_hour: float) -> Advice:
        """What is known by now; `discount` and `server_hour` (US dollars) are what capacity is compared by."""
        count = self._input.count
        state, load = self._continuity.report(), self._hours.report()
        fits = self._fits()
        spent = self._spending(fits)
        hours = (self._last - self._first) / 3600
        facts = Facts(
            requests=count,
            state=state.verdict,
            reused=self._continuity.reused,
            mean_input=self._input.total / count if count else 0.0,
            p95_context=self._context.percentile(0.95),
            above_step=max((fit.above_step or 0.0 for fit in fits), default=0.0),
            factor=load.factor,
            usd_per_hour=spent / hours if spent is not None and hours >= 1 else None,
            streamed=self._streamed / self._stream_known if self._stream_known else None,
        )
        return Advice(
            workload=self._key,
            requests=count,
            first=self._first,
            last=self._last,
            streamed=None if facts.streamed is None else round(facts.streamed, 4),
            state=state,
            input=self._input.report(),
            output=self._output.report(),
            context=self._context.report(),
            load=load,
            input_inflation=self._inputs.report(),
            output_inflation=self._outputs.report(),
            cost_usd=self._cost / 1e9 if self._priced else None,
            fits=fits,
            suits=tuple(suits(facts, discount=discount, server_hour=server_hour)) if count >= LEAST else (),
            missing=tuple(self._missing(state, facts)),
        )

    def _fits(self) -> tuple[Fit, ...]:
        """How it fits the targets of its models, the most asked first."""
        offers = {offer.target: offer for model, _ in self._models.most_common() for offer in self._offers(model)}
        return tuple(self._fit(offer) for offer in offers.values())

    def _fit(self, offer: Offer) -> Fit:
        steps = () if offer.price is None else offer.price.at(self._last).steps
        step = steps[0].above if steps else None
        spent = self._spent.get(offer.target)
        return Fit(
            target=offer.target,
            context=offer.context,
            too_long=None if offer.context is None else round(self._context.above(offer.context), 4),
            step=step,
            above_step=None if step is None else round(self._input.above(step), 4),
            usd=None if spent is None else spent / 1e9,
        )

    def _spending(self, fits: Sequence[Fit]) -> float | None:
        """US dollars of all requests: what was paid, where that is known of nearly all, else at the first target."""
        if self._priced >= 0.9 * self._input.count and self._cost:
            return self._cost / 1e9 * self._input.count / self._priced
        return next((fit.usd for fit in fits if fit.usd is not None), None)

    def _missing(self, state: State, facts: Facts) -> list[str]:
        missing: list[str] = []
        if facts.requests < LEAST:
            missing.append(f"{facts.requests} requests: nothing is said before {LEAST}")
        elif state.verdict == "unknown":
            missing.append("whether requests continue others: tag them with a session (Freehold-Tags: session=...)")
        if self._inputs.report() is None:
            missing.append("inflation: 8 days with 5 requests each are needed")
        if facts.factor is None:
            missing.append("the peak: a day is needed")
        if facts.usd_per_hour is None:
            missing.append("the cost: no price is known for its models, or it lasted less than an hour")
        return missing


class Workloads:
    """All workloads of a source."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        self._memory = Memory()
        self._found: dict[Key, Workload] = {}

    def add(self, use: Use) -> None:
        """One request."""
        key = use.key if use.key in self._found or len(self._found) < MOST_WORKLOADS else OTHERS
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = Workload(key, self._offers, self._memory)
        found.add(use)

    def report(self, *, discount: float, server_hour: float) -> list[Advice]:
        """Advice for each, that with the most requests first."""
        advice = [each.report(discount=discount, server_hour=server_hour) for each in self._found.values()]
        return sorted(advice, key=lambda each: -each.requests)
