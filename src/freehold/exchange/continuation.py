"""Going on with an answer in the middle: another target takes over where a stream broke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from freehold.errors import UpstreamError, retry_of_kind
from freehold.exchange.failures import kind_of
from freehold.exchange.joint import Joint
from freehold.exchange.leg import Arrived, Leg, Stream
from freehold.exchange.pace import CHARACTERS_A_TOKEN
from freehold.exchange.record import SeamRecord
from freehold.ir import Response, Usage
from freehold.ir.fold import unfold

if TYPE_CHECKING:
    from collections.abc import Callable

    from freehold.exchange.turns import Turns
    from freehold.ir import Event, Failure, Generate


class Source(Protocol):
    """Where a client's stream comes from."""

    @property
    def failure(self) -> Failure | None:
        """Why it broke off, once it did."""
        ...

    @property
    def leg(self) -> Leg:
        """Who is giving it."""
        ...

    async def receive(self) -> Arrived | None:
        """The next piece; None at the end."""
        ...


class Whole:
    """The answer of a leg that gave it in one piece."""

    __slots__ = ("_response", "failure", "leg")

    def __init__(self, leg: Leg, response: Response) -> None:
        self.leg = leg
        self.failure: Failure | None = None
        self._response: Response | None = response

    async def receive(self) -> Arrived | None:
        """All of it, once."""
        response, self._response = self._response, None
        return None if response is None else (unfold(response), b"")


class Continuation:
    """The stream of one leg, and of those that go on with it. Only events come out of it: the bytes would not fit."""

    __slots__ = ("_joint", "_request", "_stays", "_stream", "_take_over", "_turns", "failure", "leg")

    def __init__(self, request: Generate, turns: Turns, stream: Stream, take_over: Callable[[Leg], None]) -> None:
        """`take_over` is told of every leg that does."""
        self._request = request
        self._turns = turns
        self._joint = Joint()
        self._stream: Source = stream
        self._take_over = take_over
        self.leg: Leg = stream.leg
        self.failure: Failure | None = None
        self._stays = False
        """Whether nobody else could go on where this one is too slow."""

    async def receive(self) -> Arrived | None:
        """The next piece that the client is told of. An end without its end is an ErrorEnd."""
        joint = self._joint
        while not (joint.ended or self.failure):
            if self.leg.slow and not self._stays:
                mended = await self._leave_slow()
                if mended is not None:
                    return mended
            arrived = await self._stream.receive()
            told = [] if arrived is None else joint.take(arrived[0])
            if self.leg.attempt.seam is not None:
                self.leg.attempt.seam.removed = joint.removed
            if arrived is None or joint.failure is not None:
                told += await self._mend()
            if told:
                return told, b""
        return None

    async def _mend(self) -> list[list[Event]]:
        """What follows a break: nothing more than an end, the beginning of another leg, or the error."""
        joint, leg = self._joint, self.leg
        broken = joint.failure
        if broken is None:
            return []
        if joint.complete:
            leg.settle("broken")
            return [joint.end()]
        if not joint.fixed and retry_of_kind(kind_of(broken.failure)).where != "never":
            await self._give_up(leg)
            said = await self._next(leaving=False)
            if said is not None:
                return said
        self.failure = broken.failure
        return [[broken]]

    async def _leave_slow(self) -> Arrived | None:
        """Let another target go on where this one is too slow; None where none can: slow is better than broken."""
        joint = self._joint
        self._stays = True
        if joint.complete or joint.fixed:
            return None
        held: list[Event] = []
        joint.flush(held)
        said = await self._next(leaving=True)
        if said is not None:
            self._stays = False
            return [held, *said], b""
        return ([held], b"") if held else None

    async def _next(self, *, leaving: bool) -> list[list[Event]] | None:
        """Have the next target go on; None where there is none. `leaving`: only then is the one under way given up."""
        joint, before = self._joint, self.leg
        while (leg := await self._turns.next(joint=joint)) is not None:
            resumption = joint.resume(self._request, leg.prepared.target)
            leg.attempt.seam = SeamRecord(how=resumption.how, after=len(joint.said))
            try:
                opened = await leg.open()
            except UpstreamError as error:
                self._turns.failed(error)
                continue
            if isinstance(opened, Stream):
                self._stream = opened
            elif isinstance(opened, Response):
                self._stream = Whole(leg, opened)
            else:
                await leg.cut()
                continue
            self.leg = leg
            self._take_over(leg)
            if leaving:
                await self._give_up(before)
            return [joint.go_on(resumption.overlap, before.watch.usage)]
        return None

    async def _give_up(self, leg: Leg) -> None:
        """Another goes on, or shall: what this one may have charged is put in our own words where it said nothing."""
        leg.settle("broken")
        await leg.cut()
        said, written = leg.watch.usage, self._joint.characters // CHARACTERS_A_TOKEN
        sent = await leg.sent() if said is None or said.input_tokens is None else None
        leg.presume(Usage(input_tokens=sent, output_tokens=written))
