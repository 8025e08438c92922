"""Cascade: a small model first, and the next one when its answer does not pass the check.

The answers of all but the last are held until they are whole and have been looked at; the last streams as it comes. If
those behind it fail, the last answer that was held is still better than none. All that answered are billed, and each
attempt says what its answer lacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from freehold.errors import CallerError, FreeholdError, UpstreamError
from freehold.exchange.checks import judging, shortfall, verdict
from freehold.exchange.door import Arrival
from freehold.exchange.effects import effects
from freehold.exchange.leg import Stream
from freehold.exchange.turns import Turns, ask_in_turn
from freehold.ir import Generate, Response
from freehold.protocols.codec import Unsupported, WireRequest, WireResponse
from freehold.protocols.openai_chat import CODEC

if TYPE_CHECKING:
    from freehold.exchange.door import Sink
    from freehold.exchange.leg import Leg, Opened
    from freehold.exchange.road import Journey
    from freehold.exchange.target import Found, Place
    from freehold.ir import Request


async def ascend(journey: Journey, found: Found, places: Sequence[Place]) -> FreeholdError | None:
    """Ask one after another until an answer passes or nobody is left (None); else the error to report."""
    request = _readable(journey)
    if not isinstance(request, Generate):
        return await ask_in_turn(journey, Turns(journey, places))
    effect = effects(request)
    if effect is not None:
        # It must not be done twice, so the answer that counts is asked for at once.
        for place in places[:-1]:
            journey.record.rejections[place.name] = f"cascade: {effect}"
        return await ask_in_turn(journey, Turns(journey, [*places[-1:], *places[:-1]]))
    return await _Ascent(journey, found, places, request).run()


def _readable(journey: Journey) -> Request | None:
    """The request; None where the codec can not read what the provider perhaps can."""
    try:
        return journey.request()
    except (CallerError, Unsupported):
        return None


class _Ascent:
    """One exchange on its way up."""

    def __init__(self, journey: Journey, found: Found, places: Sequence[Place], request: Generate) -> None:
        self._journey = journey
        self._check = found.check
        self._request = request
        self._turns = Turns(journey, places)
        self._held: tuple[Leg, Opened] | None = None
        """The last answer that did not pass."""

    async def run(self) -> FreeholdError | None:
        poor = False
        while (leg := await self._turns.next(escalates=poor)) is not None:
            poor = False
            try:
                opened = await leg.open()
                if self._turns.peek() is not None and not await self._passes(leg, opened):
                    self._held, poor = (leg, opened), True
                    continue
                await self._journey.deliver(leg, opened, self._turns)
            except UpstreamError as error:
                self._turns.failed(error)
            else:
                return None
        if self._held is None:
            return self._turns.error()
        await self._journey.deliver(*self._held, self._turns)
        return None

    async def _passes(self, leg: Leg, opened: Opened) -> bool:
        """Whether an answer passes, once it is whole. Raises UpstreamError if it breaks off before."""
        try:
            response = await self._whole(leg, opened)
            leg.settle("ok")
            if response is None:
                return True
            leg.attempt.check = shortfall(self._check, self._request, response) or await self._judged(leg, response)
        except UpstreamError as error:
            await leg.fail(error)
            raise
        except BaseException:
            await leg.cut()
            raise
        leg.release()
        return leg.attempt.check is None

    async def _whole(self, leg: Leg, opened: Opened) -> Response | None:
        """The whole answer; what is none of a generation is not looked at."""
        if isinstance(opened, Stream):
            return await opened.whole()
        if isinstance(opened, WireResponse):
            opened = leg.prepared.target.codec.decode_response(opened, self._journey.asked(leg.prepared))
        return opened if isinstance(opened, Response) else None

    async def _judged(self, leg: Leg, response: Response) -> str | None:
        """What the judge objects to, None where there is nothing or nobody to ask. A judge is not judged itself."""
        journey = self._journey
        if self._check.judge is None or journey.arrival.parent is not None:
            return None
        arrival = journey.arrival
        body = msgspec.json.encode(judging(self._check, self._request, response))
        asking = Arrival(
            id=journey.road.new_id(),
            parent=arrival.id,
            codec=CODEC,
            operation="generate",
            wire=WireRequest(path="/v1/chat/completions", headers=(("content-type", "application/json"),), body=body),
            project=arrival.project,
            key=arrival.key,
            models=(),  # the operator's choice, whatever the caller's key may name
            started=journey.road.clock.time(),
            deadline=arrival.deadline,
            tags=arrival.tags,
        )
        leg.attempt.judge = asking.id
        bench = _Bench()
        await journey.road.travel(asking, bench, journey.snapshot)
        return verdict(bench.status, bench.body)


class _Bench:
    """Where a judge's answer arrives."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        del headers
        self.status, self.body = status, body

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> Sink:
        raise RuntimeError(f"a judge is asked for a whole answer, and it streams ({status}, {len(headers)} headers)")
