"""Whose turn it is: the places of one exchange in order, each made ready when it is its turn.

What can not say the request, would lose too much of it, or has spent its retry budget is passed over, with the reason
on the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.errors import CallerError, FreeholdError, UpstreamError
from freehold.exchange.lanes import Prepared, choose_target, refused_losses
from freehold.exchange.leg import Leg
from freehold.protocols.codec import Unsupported

if TYPE_CHECKING:
    from freehold.exchange.joint import Joint
    from freehold.exchange.road import Journey
    from freehold.exchange.target import Place
    from freehold.ir import Loss


class Turns:
    """The places that may still be asked."""

    __slots__ = ("_at", "_journey", "_last", "_places", "_refused")

    def __init__(self, journey: Journey, places: Sequence[Place]) -> None:
        self._journey = journey
        self._places = places
        self._at = 0
        self._last = journey.failed
        self._refused: list[tuple[str, tuple[Loss, ...]]] = []

    def peek(self) -> Place | None:
        """Whose turn would be next, None if nobody's: all have had theirs, or attempts or time are used up."""
        if self._at >= len(self._places):
            return None
        journey = self._journey
        return self._places[self._at] if not journey.record.attempts or journey.may_try() else None

    async def next(self, *, escalates: bool = False, joint: Joint | None = None) -> Leg | None:
        """The next attempt, ready to be made, or to go on with what was said; None when there is none.

        After the first, each takes from its target's retry budget, unless it `escalates`: then it is wanted for its own
        sake, though nothing has failed. Raises CallerError for a request that can not be read.
        """
        journey = self._journey
        while (place := self.peek()) is not None:
            self._at += 1
            prepared = await self._prepared(place, joint)
            if prepared is not None and self._affords(place.name, escalates=escalates):
                return Leg(journey, place.candidate, prepared)
        return None

    async def _prepared(self, place: Place, joint: Joint | None) -> Prepared | None:
        journey, arrival = self._journey, self._journey.arrival
        try:
            target = choose_target(place, arrival.codec, journey.request, arrival.operation)
            prepared = journey.prepare(target, joint)
        except Unsupported as error:
            journey.record.rejections[place.name] = str(error)
            self._last = self._last or CallerError(str(error), code="unsupported_operation", kind="unsupported")
            return None
        lost = refused_losses(prepared.losses, arrival.strictness)
        if lost and await journey.fetched_media():
            prepared = journey.prepare(target, joint)
            lost = refused_losses(prepared.losses, arrival.strictness)
        if not lost:
            return prepared
        journey.record.rejections[place.name] = f"would lose {lost[0].path} ({lost[0].effect})"
        self._refused.append((place.name, lost))
        return None

    def _affords(self, place: str, *, escalates: bool) -> bool:
        journey = self._journey
        attempts, retries = journey.record.attempts, journey.road.retries
        if not attempts or escalates:
            retries.first(place)
            return True
        if retries.take(place, attempts[0].target, journey.now(), journey.snapshot.retry_share):
            return True
        journey.record.rejections[place] = "retries: it has been asked at second hand too often just now"
        return False

    def failed(self, error: UpstreamError) -> None:
        """The attempt whose turn it was failed; where the caller is to blame nobody else is asked."""
        self._last = error
        if error.retry.where == "never":
            self._at = len(self._places)

    def error(self) -> FreeholdError | None:
        """What to report now that nobody has answered."""
        last, refused = self._last, self._refused
        if last is not None and not (refused and isinstance(last, CallerError)):
            return last
        return _refusal(refused) if refused else last


async def ask_in_turn(journey: Journey, turns: Turns) -> FreeholdError | None:
    """The next one when one has failed, until one answers (None); else the error to report."""
    while (leg := await turns.next()) is not None:
        try:
            await journey.deliver(leg, await leg.open(), turns)
        except UpstreamError as error:
            turns.failed(error)
        else:
            return None
    return turns.error()


def _refusal(refused: list[tuple[str, tuple[Loss, ...]]]) -> CallerError:
    """Why no target may be asked: what each would have lost, and what the caller can do."""
    shown = "; ".join(
        f"{name} would lose " + ", ".join(f"{loss.path} ({loss.detail or loss.kind})" for loss in lost[:3])
        for name, lost in refused[:3]
    )
    return CallerError(
        f"no target can take this request without losing part of it: {shown}. Change the request (media by URL: send "
        "them inline, or have their host named in [fetch] allow), or allow it with the header Freehold-On-Loss: report",
        code="loss_refused",
        param=refused[0][1][0].path,
    )
