"""Racing: when a target is slow to begin, the next one is asked beside it, and who proves itself first answers.

    first ──silent for longer than usual──▶ second, beside it ──one has proved itself──▶ it answers, the others are cut
                                  (if request, purse and retry budget allow)

One that fails before is as in failover: the next takes its place, unless another is still running. One that is cut is
billed for what its provider may have charged: what it reported, else the input as counted here and the output as far as
it was seen, marked as an estimate. Its time counts, too, as no less than it had: else only quick answers would be
measured, and the delay, a percentile of them, would shrink from hedge to hedge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.errors import CallerError, FreeholdError, UpstreamError
from freehold.exchange.effects import effects
from freehold.exchange.leg import Stream
from freehold.exchange.pace import CHARACTERS_A_TOKEN
from freehold.exchange.turns import Turns
from freehold.ir import Usage
from freehold.protocols.codec import Unsupported
from freehold.routing.features import expected_input

if TYPE_CHECKING:
    from freehold.exchange.leg import Leg, Opened
    from freehold.exchange.road import Journey
    from freehold.exchange.target import Found, Place

NANO_IN_A_USD = 1e9
LONGEST_COUNT = 0.05
"""Seconds that a winner waits for the input of losers to be counted, which began when the second was asked."""


async def race(journey: Journey, found: Found, places: Sequence[Place]) -> FreeholdError | None:
    """Ask, and ask beside who is slow, until one answers (None); else the error to report."""
    return await _Race(journey, found, places).run()


class _Runner:
    """One that is running: the leg, its opening, and once there are two, the count of what was sent to it."""

    __slots__ = ("counting", "leg", "opening")

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.opening = asyncio.ensure_future(leg.open())
        self.counting: asyncio.Future[int] | None = None

    def forget(self) -> None:
        """Nobody needs the count (any more)."""
        if self.counting is not None:
            self.counting.cancel()


class _Race:
    """One exchange between several targets."""

    def __init__(self, journey: Journey, found: Found, places: Sequence[Place]) -> None:
        self._journey = journey
        self._turns = Turns(journey, places)
        self._settings = found.hedge
        self._priced = all(candidate.tariff is not None for candidate in found.candidates)
        self._purse = journey.road.purses.of(found.name)
        self._running: list[_Runner] = []
        self._hedge_at: float | None = None
        """When the next one is asked beside those that run; None: not at all."""
        self._earned = 0.0
        self._taken = 0.0
        self._won: Leg | None = None
        self._lost: list[Leg] = []

    async def run(self) -> FreeholdError | None:
        first = self._turns.peek()
        self._earned = 0.0 if first is None else self._expected(first)
        self._purse.earn(self._earned, self._settings.extra_cost)
        try:
            while (found := await self._proven()) is not None:
                self._won = found[0]
                await self._cut()
                try:
                    await self._journey.deliver(*found, self._turns)
                except UpstreamError as error:
                    self._won = None
                    self._turns.failed(error)
                else:
                    return None
            return self._turns.error()
        finally:
            await self._cut()
            self._settle()

    async def _proven(self) -> tuple[Leg, Opened] | None:
        """The first that has an answer; None when nobody has, or the caller is to blame."""
        while True:
            if not self._running:
                leg = await self._turns.next()
                if leg is None:
                    return None
                self._start(leg)
            wait = None if self._hedge_at is None else max(0.0, self._hedge_at - self._journey.now())
            openings = [runner.opening for runner in self._running]
            done, _ = await asyncio.wait(openings, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await self._hedge()
            for runner in [each for each in self._running if each.opening in done]:
                self._running.remove(runner)
                runner.forget()
                try:
                    return runner.leg, runner.opening.result()
                except UpstreamError as error:
                    self._turns.failed(error)
                    if error.retry.where == "never":
                        return None

    def _start(self, leg: Leg) -> None:
        self._running.append(_Runner(leg))
        self._hedge_at = None
        if len(self._running) < self._settings.at_most and self._turns.peek() is not None:
            stream, settings = self._journey.seen.stream, self._settings
            usual = self._journey.road.health.patience(leg.candidate.name, settings.percentile, stream=stream)
            self._hedge_at = leg.began + (settings.after if usual is None else usual)

    async def _hedge(self) -> None:
        """Those that run have been silent for long: ask the next one, too, if that may be."""
        self._hedge_at = None
        place = self._turns.peek()
        if place is None:
            return
        price = self._expected(place)
        why = self._against()
        if why is None and not self._purse.take(price):
            why = "extra_cost is used up"
        if why is not None:
            self._journey.record.rejections[place.name] = f"hedge: {why}"
            return
        self._taken += price
        leg = await self._turns.next()
        if leg is None:
            return
        leg.attempt.hedge = True
        self._start(leg)
        for runner in self._running:
            if runner.counting is None:
                runner.counting = asyncio.ensure_future(runner.leg.sent())

    def _against(self) -> str | None:
        """What forbids to ask twice at once: the request itself."""
        try:
            return effects(self._journey.request())
        except (CallerError, Unsupported):
            return "the request can not be read"

    async def _cut(self) -> None:
        """Cut all that are still running."""
        runners, self._running = self._running, []
        if not runners:
            return
        openings = [runner.opening for runner in runners]
        for opening in openings:
            opening.cancel()
        try:
            await asyncio.gather(*openings, return_exceptions=True)
            counting = [runner.counting for runner in runners if runner.counting is not None]
            if counting:
                await asyncio.wait(counting, timeout=LONGEST_COUNT)
        finally:
            for runner in runners:
                await self._lose(runner)

    async def _lose(self, runner: _Runner) -> None:
        leg, opening, counting = runner.leg, runner.opening, runner.counting
        seen = 0
        if opening.done() and not opening.cancelled():
            if opening.exception() is not None:
                runner.forget()
                return  # it had just failed by itself, and said so
            opened = opening.result()
            seen = opened.seen() if isinstance(opened, Stream) else 0
            await leg.cut()
        if counting is None:
            return  # nobody was beside it: the client left
        sent = counting.result() if counting.done() and counting.exception() is None else leg.sent_at_least()
        runner.forget()
        leg.presume(Usage(input_tokens=sent, output_tokens=seen // CHARACTERS_A_TOKEN))
        leg.attempt.lost = self._won is not None
        self._lost.append(leg)
        journey = self._journey
        journey.road.health.outrun(leg.candidate, journey.now() - leg.began, stream=journey.seen.stream)

    # --- The purse -------------------------------------------------------------------------------------------------

    def _expected(self, place: Place) -> float:
        """What being asked and cut costs at least: the input. More is put right when it is known."""
        ask, tariff = self._journey.ask, place.candidate.tariff
        if not self._priced or tariff is None:
            return 1.0
        tokens = expected_input(place.candidate, ask)
        return tokens * tariff.rung(tokens, ask.at)[1] * NANO_IN_A_USD

    def _settle(self) -> None:
        """Put right in the purse what was expected, now that it is known."""
        won = 0.0 if self._won is None else self._billed(self._won)
        lost = sum(self._billed(leg) for leg in self._lost)
        self._purse.correct((won - self._earned) * self._settings.extra_cost + self._taken - lost)

    def _billed(self, leg: Leg) -> float:
        return float(leg.attempt.cost_nano_usd or 0) if self._priced else 1.0
